#!/usr/bin/env bash
# hack/bench-serve.sh: `btfleet serve` beside nginx, 1,000 pods at once, on loopback. BTFLEET: the binary to measure;
# otherwise the one that ships is built. SERVE_ROUNDS=1.
set -euo pipefail
cd "$(dirname "$0")/.."
export SERVE_ROUNDS=${SERVE_ROUNDS:-1}
if [ -z "${BTFLEET:-}" ]; then
  hack/dist.sh
  BTFLEET=$(hack/dist.sh --path)
fi

# Debian's package, unpacked and not installed: a web server that comes up with the machine is not what was asked for.
nginx=$(PATH="$PATH:/usr/sbin" command -v nginx || true)
if [ -z "$nginx" ]; then
  root=${XDG_CACHE_HOME:-$HOME/.cache}/btfleet/tools/nginx
  nginx=$root/usr/sbin/nginx
  if [ ! -x "$nginx" ]; then
    mkdir -p "$root"
    (cd "$root" && apt-get download -qq nginx && dpkg -x nginx_*.deb . && rm nginx_*.deb) >&2
  fi
fi

cargo bench --locked --profile dev --bench serve --no-run
ulimit -n 8192
scratch=$(mktemp -d -p /dev/shm btfleet-serve.XXXXXX)
pids=()
stop() {
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  wait
  rm -rf "$scratch"
}
trap stop EXIT

zstd -q -d --long=27 tests/fixtures/x86_64-6.18.btf.zst -o "$scratch/k.btf"
unset KUBECONFIG KUBERNETES_SERVICE_HOST
"$BTFLEET" publish --store "$scratch/store" "$scratch/k.btf" >"$scratch/published" 2>&1
SERVE_KERNEL=$(awk '$1 == "kernel" { print $2 }' "$scratch/published")
HOME=$scratch "$BTFLEET" serve --store "$scratch/store" --listen 127.0.0.1:18480 --log-level warn 2>"$scratch/serve.log" &
pids+=($!)
SERVE_PIDS=$!

mkdir "$scratch/www"
"$BTFLEET" get --store "$scratch/store" "$SERVE_KERNEL" -o "$scratch/www/vmlinux.h" 2>/dev/null
cp "$scratch"/store/headers/sha256/*.h.zst "$scratch/www/vmlinux.h.zst"
chmod -R a+rX "$scratch"
cat >"$scratch/nginx.conf" <<TEXT
worker_processes 2;
daemon off;
pid $scratch/nginx.pid;
error_log $scratch/nginx.log;
events { worker_connections 4096; }
http {
  access_log off;
  sendfile on;
  tcp_nopush on;
  client_body_temp_path $scratch/t1; proxy_temp_path $scratch/t2; fastcgi_temp_path $scratch/t3;
  uwsgi_temp_path $scratch/t4; scgi_temp_path $scratch/t5;
  server {
    listen 127.0.0.1:18481 backlog=4096;
    root $scratch/www;
    location = /vmlinux.h.zst { add_header Content-Encoding zstd; }
  }
}
TEXT
"$nginx" -e "$scratch/nginx.log" -c "$scratch/nginx.conf" &
pids+=($!)
for _ in $(seq 100); do
  if curl -sf http://127.0.0.1:18480/readyz >/dev/null && curl -sfI http://127.0.0.1:18481/vmlinux.h >/dev/null; then break; fi
  sleep 0.1
done
NGINX_PIDS="$! $(pgrep -P $! | tr '\n' ' ')"
export SERVE_KERNEL SERVE_PIDS NGINX_PIDS SERVE_ADDRESS=127.0.0.1:18480 NGINX_ADDRESS=127.0.0.1:18481

cargo bench --locked --profile dev --bench serve 2>"$scratch/cargo.log" || { cat "$scratch/cargo.log" >&2; exit 1; }
echo
echo "reads of the store, in all of it:"
curl -sf http://127.0.0.1:18480/metrics | grep '^btfleet_serve_store_reads_total'
