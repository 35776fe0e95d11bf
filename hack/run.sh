#!/usr/bin/env bash
# `make run`: builds the core, publishes a kernel's header to ./btfleet-store and shows how it begins.
set -euo pipefail
cd "$(dirname "$0")/.."

hack/need.sh run
echo "building btfleet without the cluster side" >&2
cargo build --release --no-default-features --features cli
btfleet=${CARGO_TARGET_DIR:-target}/release/btfleet

if [ -r /sys/kernel/btf/vmlinux ]; then
  kernel=/sys/kernel/btf/vmlinux
  "$btfleet" publish --store ./btfleet-store
else
  # Outside the tree, and under a name that says what it is.
  scratch=$(mktemp -d)
  trap 'rm -rf "$scratch"' EXIT
  kernel=$scratch/x86_64-6.18.btf
  zstd -q -d --long=27 tests/fixtures/x86_64-6.18.btf.zst -o "$kernel"
  echo "this machine's kernel has no BTF (/sys/kernel/btf/vmlinux): taking the committed one of Linux 6.18, x86_64" >&2
  "$btfleet" publish --store ./btfleet-store "$kernel"
fi

# By what identifies a kernel, its BTF digest: the store may hold others from an earlier run.
digest=sha256:$(sha256sum "$kernel" | cut -d' ' -f1)
header=$(mktemp)
trap 'rm -rf "$header" ${scratch:+"$scratch"}' EXIT
"$btfleet" get --store ./btfleet-store "$digest" >"$header"
echo
echo "its vmlinux.h ($(wc -l <"$header") lines) begins:"
head -n 25 "$header"
echo "…"
echo
echo "the whole of it: $btfleet get --store ./btfleet-store $digest >vmlinux.h"
