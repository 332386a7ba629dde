#!/usr/bin/env bash
# Compares a worker's REST API with pgbench sending the same statements, and
# measures the memory that a large result takes. Needs psql, pgbench, wrk, curl and
# an empty PostgreSQL:
#   bench/rest/run.sh ./dist/madbase postgres://postgres@127.0.0.1:5432
# SECONDS_EACH (5), ROUNDS (3) and CONNECTIONS (16) may be set.
set -euo pipefail
binary=$(realpath "$1") server=$2 each=${SECONDS_EACH:-5} rounds=${ROUNDS:-3} connections=${CONNECTIONS:-16}
here=$(dirname "$(realpath "$0")") address=127.0.0.1:18090 work=$(mktemp -d)
login=$(sed -E 's#^([a-z]+://)([^@/]*@)?#\1bench_login:bench@#' <<<"$server")/bench
psql -q "$server/postgres" -c "CREATE DATABASE bench"
finish() {
	if [ -n "${worker:-}" ]; then kill "$worker" && wait "$worker" || true; fi
	psql -q "$server/postgres" -c "DROP DATABASE bench WITH (FORCE)" -c "DROP ROLE bench_login, bench_anon" || true
	rm -r "$work"
}
trap finish EXIT
psql -q "$server/bench" -f "$here/schema.sql"
PGRST_DB_URI=$login PGRST_DB_ANON_ROLE=bench_anon PGRST_DB_POOL=$connections LOG_LEVEL=error \
	"$binary" serve --role=worker --modules=rest --listen "$address" --data-dir "$work/data" &
worker=$!
for _ in $(seq 100); do curl -sf -o "$work/first" "http://$address/items?id=eq.1" && break || sleep 0.1; done

resident() { awk '/VmHWM/ {print int($2 / 1024)}' "/proc/$worker/status"; }

# transactions SCRIPT: pgbench's a second.
transactions() { pgbench -n -M prepared -f "$1" -c "$connections" -j 1 -T "$each" "$login" 2>&1 | awk '/^tps/ {print $3}'; }

# compare NAME PATH SCRIPT [WRK OPTIONS]: requests a second in each round, with
# their ratio to the transactions of pgbench that sends the same statements one
# by one between BEGIN and COMMIT, and to those that it sends in one pipeline.
compare() {
	local name=$1 path=$2 script=$3 stepwise piped out
	shift 3
	sed 's/^.startpipeline/BEGIN;/; s/^.endpipeline/COMMIT;/' "$here/$script" >"$work/stepwise.sql"
	for _ in $(seq "$rounds"); do
		stepwise=$(transactions "$work/stepwise.sql")
		piped=$(transactions "$here/$script")
		out=$(wrk -t1 -c"$connections" -d"${each}s" --latency "$@" "http://$address$path")
		! grep -q "Non-2xx" <<<"$out"
		awk -v name="$name" -v stepwise="$stepwise" -v piped="$piped" '/Requests\/sec/ {rps = $2} /99%/ {p99 = $2}
			END {printf "%-17s %6.0f req/s, p99 %s; pgbench stepwise %6.0f tps, ratio %.2f; in a pipeline %6.0f tps, ratio %.2f\n",
				name, rps, p99, stepwise, rps / stepwise, piped, rps / piped}' <<<"$out"
	done
}
compare "one row by key" "/items?id=eq.77" get.sql
compare "list of 100" "/items?order=id.desc&limit=100" list.sql
compare "insert, returned" "/notes" insert.sql -s "$here/insert.lua"
before=$(resident)
curl -sf -o "$work/large" "http://$address/large"
echo "peak memory: $before MB, and $(resident) MB after a result of $(($(stat -c %s "$work/large") / 1048576)) MB"
