#!/usr/bin/env bash
# hack/dump-order.sh: writes hack/dump-order.ld anew, the list of the functions that a `dump` runs, in the order in which it
# runs them first. It is a help and never wrong: what it names and no longer is is left out, what it does not name lies
# elsewhere in the program. As root on Debian it installs QEMU, whose log it is made of.
set -euo pipefail
cd "$(dirname "$0")/.."
hack/need.sh order

hack/dist.sh >&2
binary=$(hack/dist.sh --path)
scratch=$(mktemp -d)
trap 'rm -r "$scratch"' EXIT
zstd -q -d --long=27 tests/fixtures/x86_64-6.18.btf.zst -o "$scratch/6.18"
inputs=("$scratch/6.18")
# What reads the kernel's own file, where there is one.
if [ -r /sys/kernel/btf/vmlinux ]; then inputs+=(/sys/kernel/btf/vmlinux); fi
for input in "${inputs[@]}"; do
  qemu-x86_64 -d in_asm -D "$scratch/log" "$binary" dump "$input" --digests -o "$scratch/vmlinux.h"
  cat "$scratch/log" >>"$scratch/ran"
done
{
  echo "/* Written by hack/dump-order.sh. */"
  hack/dump-order.py "$binary.map" "$scratch/ran"
} >"$scratch/order"
mv "$scratch/order" hack/dump-order.ld
wc -l hack/dump-order.ld
