#!/usr/bin/env bash
# Compares a worker's REST API with smoothdb's (github.com/sted/smoothdb, built
# apart). Needs psql, wrk, curl and an empty PostgreSQL:
#   bench/rest/beside.sh ./dist/madbase ./smoothdb postgres://postgres@127.0.0.1:5432
# For each shape both start anew and answer one round that does not count; then they
# take turns, and in each round the other one is first. Printed are medians of the
# rounds. SECONDS_EACH (4), ROUNDS (3), CONNECTIONS ("16 128") and SHAPES may be set;
# COLD=1 leaves out the first round and prints each one, to show the start.
set -euo pipefail
madbase=$(realpath "$1") peer=$(realpath "$2") server=$3 each=${SECONDS_EACH:-4} rounds=${ROUNDS:-3}
here=$(dirname "$(realpath "$0")") work=$(mktemp -d)
login=$(sed -E 's#^([a-z]+://)([^@/]*@)?#\1bench_login:bench@#' <<<"$server")/bench
declare -A port=([madbase]=18090 [smoothdb]=18091) started=()
stop() {
	for p in "${started[@]}"; do kill "$p" && wait "$p" || true; done
	started=()
}
finish() {
	stop
	psql -q "$server/postgres" -c "DROP DATABASE bench WITH (FORCE)" -c "DROP ROLE bench_login, bench_anon" || true
	rm -r "$work"
}
psql -q "$server/postgres" -c "CREATE DATABASE bench"
trap finish EXIT
psql -q "$server/bench" -f "$here/schema.sql"
cat >"$work/peer.json" <<CONFIG
{"Address": "127.0.0.1:${port[smoothdb]}", "AllowAnon": true, "EnableAPIRoute": true, "BaseAPIURL": "", "ShortAPIURL": true,
 "Database": {"URL": "$login?sslmode=disable", "MinPoolConnections": 1, "MaxPoolConnections": 20, "AnonRole": "bench_anon",
  "AllowedDatabases": ["bench"], "SchemaSearchPath": ["public"], "TransactionMode": "commit"},
 "Logging": {"Level": "error", "FileLogging": false, "StdOut": true}}
CONFIG
# The peer starts anew because it stops answering after a while. What PostgreSQL has
# still to write of what came before is written now, and not in someone's round.
start() {
	psql -q "$server/bench" -c CHECKPOINT
	PGRST_DB_URI="$login?sslmode=disable" PGRST_DB_ANON_ROLE=bench_anon PGRST_DB_POOL=20 LOG_LEVEL=error \
		"$madbase" serve --role=worker --modules=rest --listen "127.0.0.1:${port[madbase]}" --data-dir "$work/data" &
	started[madbase]=$!
	(cd "$work" && exec "$peer" -c "$work/peer.json" >"$work/peer.log" 2>&1) &
	started[smoothdb]=$!
	for p in "${port[@]}"; do
		for _ in $(seq 100); do curl -sf -o "$work/first" "http://127.0.0.1:$p/items?id=eq.1" && break || sleep 0.1; done
	done
}

# measure NAME PATH CONNECTIONS [WRK OPTIONS]: requests a second and p99 in ms.
measure() {
	local url=http://127.0.0.1:${port[$1]}$2 connections=$3
	shift 3
	timeout $((each + 10)) wrk -t1 -c"$connections" -d"${each}s" --latency "$@" "$url" | awk '
		function ms(t) {return t ~ /us$/ ? t / 1000 : t ~ /ms$/ ? t + 0 : t ~ /m$/ ? t * 60000 : t * 1000}
		/99%/ {p99 = ms($2)} /Requests\/sec/ {rps = $2} /Non-2xx|timeout/ {bad = " with failures"}
		END {printf "%.0f %.1f%s\n", rps, p99, bad}'
}
# median NAME FIELD: of the rounds.
median() { sort -n -k "$2" "$work/$1" | awk -v f="$2" '{v[NR] = $f} END {print v[int((NR + 1) / 2)]}'; }

# compare CONNECTIONS NAME PATH [WRK OPTIONS]
compare() {
	local connections=$1 name=$2 path=$3 order=(madbase smoothdb)
	shift 3
	start
	[ -n "${COLD:-}" ] || for s in "${order[@]}"; do measure "$s" "$path" "$connections" "$@" >"$work/warm"; done
	rm -f "$work/madbase" "$work/smoothdb"
	for _ in $(seq "$rounds"); do
		for s in "${order[@]}"; do measure "$s" "$path" "$connections" "$@" >>"$work/$s"; done
		[ -z "${COLD:-}" ] || echo "  madbase $(tail -n1 "$work/madbase"), smoothdb $(tail -n1 "$work/smoothdb")"
		order=("${order[1]}" "${order[0]}")
	done
	stop
	! grep -h failures "$work/madbase" "$work/smoothdb" /dev/null || echo "  the above has failures"
	echo "$connections $(median madbase 1) $(median madbase 2) $(median smoothdb 1) $(median smoothdb 2)" | awk -v name="$name" '
		{printf "%d connections, %s: madbase %d/s p99 %.1f ms, smoothdb %d/s p99 %.1f ms, ratio %.2f\n", $1, name, $2, $3, $4, $5, $2 / ($4 ? $4 : 1)}'
}
shapes=${SHAPES:-"key|/items?id=eq.77
list|/items?limit=100
embed|/authors?id=eq.5&select=name,books(title,pages(body))
embed of 10|/authors?limit=10&select=name,books(title,pages(body))
rpc|/rpc/add?a=1&b=2
insert|/notes|-s $here/insert.lua"}
for connections in ${CONNECTIONS:-16 128}; do
	while IFS='|' read -r name path options; do
		# shellcheck disable=SC2086 # options are several words
		compare "$connections" "$name" "$path" $options </dev/null
	done <<<"$shapes"
done
