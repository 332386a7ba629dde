#!/usr/bin/env bash
# Measures object storage on a folder: small and large downloads and uploads, and
# nginx serving the same large file. Needs wrk, curl, python3 and, for the
# comparison, nginx:
#   bench/storage/run.sh ./dist/madbase
# SECONDS_EACH (5), ROUNDS (2) and CONNECTIONS (16) may be set.
set -euo pipefail
binary=$(realpath "$1") each=${SECONDS_EACH:-5} rounds=${ROUNDS:-2} connections=${CONNECTIONS:-16}
here=$(dirname "$(realpath "$0")") port=18191 nginx_port=18192 work=$(mktemp -d)
chmod 755 "$work"
url=http://127.0.0.1:$port/storage/v1
pids=()
finish() {
	for pid in "${pids[@]}"; do kill "$pid" && wait "$pid" || true; done
	rm -rf "$work"
}
trap finish EXIT
start=$(date +%s%N)
LOG_LEVEL=error "$binary" serve --listen "127.0.0.1:$port" --data-dir "$work/data" >"$work/out" 2>"$work/err" &
pids+=($!)
server=$!
until curl -sf -o /dev/null "http://127.0.0.1:$port/readyz"; do sleep 0.05; done
echo "ready after $((($(date +%s%N) - start) / 1000000)) ms with a new private PostgreSQL"
export KEY
KEY=$("$binary" keys --json --data-dir "$work/data" | python3 -c 'import json,sys; print(json.load(sys.stdin)["service_role_key"])')
memory() { awk -v name="$1" '$1 == name":" {print int($2 / 1024) " MB"}' "/proc/$server/status"; }
echo "resident idle: $(memory VmRSS)"
api() { curl -sSf -o /dev/null -H "Authorization: Bearer $KEY" -H "apikey: $KEY" "$@"; }
api -H 'Content-Type: application/json' -d '{"name":"bench","public":true}' "$url/bucket"
head -c 1024 /dev/urandom >"$work/small" && head -c 1048576 /dev/urandom >"$work/large"
for size in small large; do api --data-binary @"$work/$size" -H 'Content-Type: application/octet-stream' "$url/object/bench/$size"; done

# load NAME URL [WRK OPTIONS]
load() {
	local name=$1 target=$2 out
	shift 2
	for _ in $(seq "$rounds"); do
		out=$(wrk -t2 -c"$connections" -d"${each}s" --latency "$@" "$target")
		if grep -q "Non-2xx" <<<"$out"; then echo "$name: refused"; echo "$out"; return 1; fi
		awk -v name="$name" '/Requests\/sec/ {rps = $2} /50%/ {p50 = $2} /99%/ {p99 = $2} /Transfer/ {moved = $2}
			END {printf "%-28s %7.0f req/s, p50 %s, p99 %s, read %s/s\n", name, rps, p50, p99, moved}' <<<"$out"
	done
}
load "GET public 1 KiB" "$url/object/public/bench/small"
load "GET authenticated 1 KiB" "$url/object/authenticated/bench/small" -H "Authorization: Bearer $KEY" -H "apikey: $KEY"
load "GET public 1 MiB" "$url/object/public/bench/large"
if command -v nginx >/dev/null; then
	cat >"$work/nginx.conf" <<CONF
worker_processes 2; pid $work/nginx.pid; error_log $work/nginx.err; daemon off;
events { worker_connections 1024; }
http { access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000;
  server { listen 127.0.0.1:$nginx_port; root $work; } }
CONF
	nginx -c "$work/nginx.conf" 2>/dev/null &
	pids+=($!)
	sleep 0.5
	load "nginx, the same 1 MiB" "http://127.0.0.1:$nginx_port/large"
	load "GET public 1 MiB" "$url/object/public/bench/large"
fi
SIZE=1024 load "POST 1 KiB" "$url" -s "$here/upload.lua"
connections=4 SIZE=10485760 load "POST 10 MiB, 4 connections" "$url" -s "$here/upload.lua"
echo "resident: $(memory VmRSS), peak $(memory VmHWM)"
