#!/usr/bin/env bash
# `make arm64`: the binary that ships and its image, for arm64, built on a machine of another kind and tried under QEMU:
# every kernel that is committed here gives the header that it gives on any machine, a store is written and verified, and
# an error is told in words. (On an arm64 machine `make dist` and `make image` are for it anyhow.)
set -euo pipefail
cd "$(dirname "$0")/.."
target=aarch64-unknown-linux-gnu
hack/need.sh arm64 image
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
hack/dist.sh "$target"
binary=$(hack/dist.sh --path "$target")

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
btfleet() { qemu-aarch64-static "$binary" "$@"; }

btfleet --version
for packed in tests/fixtures/*.btf.zst; do
  name=$(basename "$packed" .btf.zst)
  zstd -qdf "$packed" -o "$scratch/$name.btf"
done
for input in "$scratch"/*.btf; do
  name=$(basename "$input" .btf)
  base=()
  case $name in *-mod-*) base=(--base "$scratch/${name%-mod-*}.btf") ;; esac
  btfleet dump "$input" "${base[@]}" -o "$scratch/header"
  wanted=$(awk -v name="$name" '$2 == name { print $1 }' tests/it/golden.txt)
  given=$(sha256sum <"$scratch/header" | cut -d' ' -f1)
  if [ -z "$wanted" ] || [ "$given" != "$wanted" ]; then
    echo "$name: its header under arm64 is $given, elsewhere ${wanted:-unknown}" >&2
    exit 1
  fi
  echo "$name: $given, as elsewhere"
done
btfleet publish --store "file://$scratch/store" --arch x86_64 --release 6.18.0 "$scratch/x86_64-6.18.btf"
btfleet verify --store "file://$scratch/store"
if RUST_BACKTRACE=1 btfleet dump "$scratch/header" >"$scratch/out" 2>"$scratch/said" || [ $? != 1 ]; then
  echo "what is no BTF should end with 1 and a message; it said:" >&2
  cat "$scratch/said" >&2
  exit 1
fi
head -n 1 "$scratch/said"

version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
BTFLEET=$binary hack/image.sh "${CARGO_TARGET_DIR:-target}/images" "$version-arm64" "$target"
