#!/usr/bin/env bash
# `make e2e`: btfleet on a real cluster of two nodes, from `helm install` to `helm uninstall`. What is installed is the
# image that ships (BTFLEET: another static binary to put into it) and the chart as it is in this tree.
#
# All of it lives in process, network and mount namespaces of its own: when they end, whatever ends them, so do the
# servers, the pods, their mounts and links. What is left then, cgroups and a folder, goes by janitor.sh.
set -euo pipefail
cd "$(dirname "$0")/../.."
here=tests/e2e
PATH="$PATH:/usr/sbin:/sbin"

# As cargo test would say it: .ci/run counts a test that did not run as a failure.
skip() {
  echo "END TO END: NOT RUN. $1" >&2
  echo 'test result: ok. 0 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out'
  exit 0
}
[ "$(uname -s)" = Linux ] || skip 'It needs Linux.'
[ "$(id -u)" = 0 ] || skip 'A real node needs root: sudo make e2e'
unshare --mount --pid --net --fork --mount-proc true || skip 'A real node needs namespaces of its own, which are refused here.'
[ -r /sys/kernel/btf/vmlinux ] || skip 'This kernel has no BTF (/sys/kernel/btf/vmlinux).'

hack/need.sh e2e
began=$SECONDS
BED=$(mktemp -d "${TMPDIR:-/tmp}/btfleet-e2e.XXXXXX")
export BED
# Closed, with everything that inherited it, at the latest when this process has ended.
exec 9> >(exec setsid "$here/janitor.sh" "$BED" </dev/stdin >/dev/null 2>&1)
# shellcheck disable=SC2317 # the trap calls it
finish() {
  local status=$?
  exec 9>&-
  for _ in $(seq 100); do
    [ -e "$BED" ] || break
    sleep 0.2
  done
  if [ -e "$BED" ]; then
    echo "left behind: $BED" >&2
    status=1
  fi
  exit "$status"
}
trap finish EXIT

mkdir "$BED/bin"
for name in etcd helm kubectl coredns kube-apiserver-1.34 kube-controller-manager-1.34 kube-scheduler-1.34 \
  kube-proxy-1.34 kubelet-1.34; do
  ln -s "$(hack/gotools.sh "$name")" "$BED/bin/${name%-1.34}"
done
if [ -z "${BTFLEET:-}" ]; then
  hack/dist.sh
  BTFLEET=$(hack/dist.sh --path)
fi
# The links to it are elsewhere.
BTFLEET=$(realpath "$BTFLEET")
export BTFLEET
ln -s "$BTFLEET" "$BED/bin/kubectl-btfleet"
$here/next.sh "$BED/bin/next"
image() { hack/image.sh "$BED/images" "$@" >"$BED/image.log" 2>&1 || { cat "$BED/image.log" >&2; exit 1; }; }
image
BTFLEET=$BED/bin/next image next
# Those who load with what was fetched, as examples/ has them.
(cd examples/cilium-ebpf && PATH="$PATH:/usr/local/go/bin" GOTOOLCHAIN=local go build -o "$BED/bin/load-go" .)
cc -o "$BED/bin/load-libbpf" examples/libbpf/load.c -lbpf
aya=${CARGO_TARGET_DIR:-target}/tmp/example-aya # where the tests build it too
CARGO_PROFILE_DEV_DEBUG=0 cargo build --locked --quiet --manifest-path examples/aya/Cargo.toml --target-dir "$aya"
cp "$aya/debug/load" "$BED/bin/load-aya"
zstd -q -d --long=27 tests/fixtures/amd64-7.2.13+deb14-amd64.btf.zst -o "$BED/other.btf"
echo "everything is built ($((SECONDS - began)) s)"

# Whoever starts unshare and ends takes it along, and it the first process inside, and that all others.
status=0
setpriv --pdeathsig KILL -- unshare --mount --pid --net --fork --kill-child --mount-proc -- "$here/inside.sh" || status=$?
exit $status
