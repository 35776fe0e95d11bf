#!/usr/bin/env bash
# The second half of `make bench`: finds the inputs and the program to compare with, then measures.
set -euo pipefail
cd "$(dirname "$0")/.."

scratch=$(mktemp -d -p /dev/shm btfleet-bench.XXXXXX)
trap 'rm -rf "$scratch"' EXIT
zstd -q -d --long=27 tests/fixtures/x86_64-6.18.btf.zst -o "$scratch/x86_64-6.18.btf"
inputs=("$scratch/x86_64-6.18.btf")
if [ -r /sys/kernel/btf/vmlinux ]; then inputs+=(/sys/kernel/btf/vmlinux); fi

# Ubuntu's bpftool is a wrapper that wants one of the running kernel's release; any will do here.
bpftool=${BPFTOOL:-$(command -v bpftool || true)}
if ! "$bpftool" version >/dev/null 2>&1; then
  bpftool=$(find /usr/lib/linux-tools* -name bpftool 2>/dev/null | sort -V | tail -n 1)
fi

cargo run --release --manifest-path benches/dump/Cargo.toml -- \
  --btfleet "$BTFLEET" --bpftool "$bpftool" --scratch "$scratch" --runs "${BENCH_RUNS:-31}" "${inputs[@]}"
