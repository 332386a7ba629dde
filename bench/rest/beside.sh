#!/usr/bin/env bash
# Compares a worker's REST API with smoothdb's (github.com/sted/smoothdb, built
# apart), round by round in turn. Needs psql, wrk, curl and an empty PostgreSQL:
#   bench/rest/beside.sh ./dist/madbase ./smoothdb postgres://postgres@127.0.0.1:5432
# SECONDS_EACH (4), ROUNDS (3), CONNECTIONS ("16 128") and SHAPES may be set.
set -euo pipefail
madbase=$(realpath "$1") peer=$(realpath "$2") server=$3 each=${SECONDS_EACH:-4} rounds=${ROUNDS:-3}
here=$(dirname "$(realpath "$0")") work=$(mktemp -d)
login=$(sed -E 's#^([a-z]+://)([^@/]*@)?#\1bench_login:bench@#' <<<"$server")/bench
psql -q "$server/postgres" -c "CREATE DATABASE bench"
started=()
finish() {
	for p in "${started[@]}"; do kill "$p" && wait "$p" || true; done
	psql -q "$server/postgres" -c "DROP DATABASE bench WITH (FORCE)" -c "DROP ROLE bench_login, bench_anon" || true
	rm -r "$work"
}
trap finish EXIT
psql -q "$server/bench" -f "$here/schema.sql"
PGRST_DB_URI=$login PGRST_DB_ANON_ROLE=bench_anon PGRST_DB_POOL=20 LOG_LEVEL=error \
	"$madbase" serve --role=worker --modules=rest --listen 127.0.0.1:18090 --data-dir "$work/data" &
started+=($!)
cat >"$work/peer.json" <<CONFIG
{"Address": "127.0.0.1:18091", "AllowAnon": true, "EnableAPIRoute": true, "BaseAPIURL": "", "ShortAPIURL": true,
 "Database": {"URL": "$login?sslmode=disable", "MinPoolConnections": 1, "MaxPoolConnections": 20, "AnonRole": "bench_anon",
  "AllowedDatabases": ["bench"], "SchemaSearchPath": ["public"], "TransactionMode": "commit"},
 "Logging": {"Level": "error", "FileLogging": false, "StdOut": true}}
CONFIG
(cd "$work" && exec "$peer" -c "$work/peer.json" >"$work/peer.log" 2>&1) &
started+=($!)
for port in 18090 18091; do
	for _ in $(seq 100); do curl -sf -o "$work/first" "http://127.0.0.1:$port/items?id=eq.1" && break || sleep 0.1; done
done

# measure PORT PATH CONNECTIONS [WRK OPTIONS]: requests a second and p99.
measure() {
	local port=$1 path=$2 connections=$3
	shift 3
	timeout $((each + 10)) wrk -t1 -c"$connections" -d"${each}s" --latency "$@" "http://127.0.0.1:$port$path" |
		awk '/99%/ {p99 = $2} /Requests\/sec/ {rps = $2} /Non-2xx/ {bad = " with failures"} END {printf "%.0f/s p99 %s%s", rps, p99, bad}'
}
shapes=${SHAPES:-"key|/items?id=eq.77
list|/items?limit=100
embed|/authors?id=eq.5&select=name,books(title,pages(body))
embed of 10|/authors?limit=10&select=name,books(title,pages(body))
rpc|/rpc/add?a=1&b=2
insert|/notes|-s $here/insert.lua"}
for connections in ${CONNECTIONS:-16 128}; do
	while IFS='|' read -r name path options; do
		for _ in $(seq "$rounds"); do
			# shellcheck disable=SC2086 # options are several words
			echo "$connections connections, $name: madbase $(measure 18090 "$path" "$connections" $options); smoothdb $(measure 18091 "$path" "$connections" $options)"
		done
	done <<<"$shapes"
done
