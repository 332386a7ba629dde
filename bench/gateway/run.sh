#!/usr/bin/env bash
# Compares madbase's proxy with the reverse proxies of nginx and Caddy, in front of
# the same madbase worker, and with the worker alone. Needs psql, curl, wrk, nginx,
# caddy and an empty PostgreSQL:
#   bench/gateway/run.sh ./dist/madbase postgres://postgres@127.0.0.1:5432
# SECONDS_EACH (5), ROUNDS (3) and CONNECTIONS (32) may be set. All run on loopback,
# with configurations of this script, and end with it.
set -euo pipefail
binary=$(realpath "$1") server=$2 each=${SECONDS_EACH:-5} rounds=${ROUNDS:-3} connections=${CONNECTIONS:-32}
work=$(mktemp -d) host=127.0.0.1 pids=()
declare -A port=([worker]=18190 [madbase]=18191 [nginx]=18192 [caddy]=18193 [empty]=18194)
secret=a-secret-of-more-than-32-characters-for-benchmarks
psql -q "$server/postgres" -c "CREATE DATABASE bench_gateway"
finish() {
	for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null && wait "$pid" || true; done
	psql -q "$server/postgres" -c "DROP DATABASE bench_gateway WITH (FORCE)" || true
	rm -r "$work"
}
trap finish EXIT

# await PORT PATH: until it answers anything but a failure of its own.
await() { for _ in $(seq 100); do curl -s -o "$work/first" -w '%{http_code}' "http://$host:$1$2" | grep -qE '^[24]' && return || sleep 0.1; done; return 1; }

export JWT_SECRET=$secret LOG_LEVEL=error
DATABASE_URL=$server/bench_gateway "$binary" serve --role=worker --listen "$host:${port[worker]}" --data-dir "$work/worker" &
pids+=($!)
await "${port[worker]}" /readyz
psql -q "$server/bench_gateway" -c "CREATE TABLE public.items AS SELECT id, 'item ' || id AS name FROM generate_series(1, 1000) id" \
	-c "ALTER TABLE public.items ADD PRIMARY KEY (id)" -c "GRANT SELECT ON public.items TO anon" -c "NOTIFY pgrst, 'reload schema'"

# settings UPSTREAM-PORT: what each proxy is started with; no access log in any.
settings() {
	cat >"$work/nginx.conf" <<-NGINX
		daemon off; worker_processes auto; pid $work/nginx.pid; error_log $work/nginx.log;
		events { worker_connections 4096; }
		http {
			access_log off; client_body_temp_path $work/b; proxy_temp_path $work/p; fastcgi_temp_path $work/f; uwsgi_temp_path $work/u; scgi_temp_path $work/s;
			keepalive_requests 1000000;
			upstream up { server $host:$1; keepalive 128; keepalive_requests 1000000; }
			server { listen $host:${port[nginx]}; location / { proxy_pass http://up; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host \$host; proxy_set_header X-Forwarded-For \$remote_addr; } }
			server { listen $host:${port[empty]}; location /readyz { return 200; } location / { default_type application/json; return 200 '[{"id":77,"name":"item 77"}]'; } }
		}
	NGINX
	printf '{\n\tadmin off\n\tauto_https off\n}\nhttp://%s:%s {\n\treverse_proxy %s:%s\n}\n' "$host" "${port[caddy]}" "$host" "$1" >"$work/Caddyfile"
}

# start UPSTREAM-PORT: the three proxies in front of it.
start() {
	settings "$1"
	nginx -p "$work" -e "$work/nginx.log" -c "$work/nginx.conf" &
	proxies=($!)
	HOME=$work XDG_DATA_HOME=$work XDG_CONFIG_HOME=$work caddy run --config "$work/Caddyfile" --adapter caddyfile 2>"$work/caddy.log" &
	proxies+=($!)
	WORKER_UPSTREAM_URLS=http://$host:$1 "$binary" serve --role=proxy --listen "$host:${port[madbase]}" --data-dir "$work/proxy" &
	proxies+=($!)
	pids+=("${proxies[@]}")
	for p in nginx caddy madbase; do await "${port[$p]}" /readyz; done
}

stop() { for pid in "${proxies[@]}"; do kill "$pid" && wait "$pid" || true; done; }

key=$("$binary" keys --json --data-dir "$work/keys" | sed -n 's/.*"anon_key": "\([^"]*\)".*/\1/p')

# rate PORT: requests a second, and the 99th percentile.
rate() {
	local out
	out=$(wrk -t1 -c"$connections" -d"${each}s" --latency -H "apikey: $key" -H "Authorization: Bearer $key" "http://$host:$1/rest/v1/items?id=eq.77")
	! grep "Non-2xx" <<<"$out" >&2
	awk '/Requests\/sec/ {rps = $2} /99%/ {p99 = $2} END {print rps, p99}' <<<"$out"
}

# compare NAME BARE-PORT: in each round each proxy once, one after another.
compare() {
	local bare nginx caddy madbase
	for _ in $(seq "$rounds"); do
		bare=$(rate "$2") nginx=$(rate "${port[nginx]}") caddy=$(rate "${port[caddy]}") madbase=$(rate "${port[madbase]}")
		awk -v name="$1" -v b="$bare" -v n="$nginx" -v c="$caddy" -v m="$madbase" 'BEGIN {
			split(b, B, " "); split(n, N, " "); split(c, C, " "); split(m, M, " ")
			printf "%-14s alone %6.0f req/s, p99 %s; nginx %6.0f, %s; Caddy %6.0f, %s; madbase %6.0f, %s: %.2f of nginx, %.2f of Caddy\n",
				name, B[1], B[2], N[1], N[2], C[1], C[2], M[1], M[2], M[1] / N[1], M[1] / C[1]}'
	done
}
start "${port[worker]}"
for _ in $(seq 100); do curl -sf -o "$work/first" -H "apikey: $key" "http://$host:${port[madbase]}/rest/v1/items?id=eq.77" && break || sleep 0.1; done
compare "a worker" "${port[worker]}"
stop
start "${port[empty]}" # nginx answers at once: what is left is the proxies' own time
compare "an empty one" "${port[empty]}"
stop
