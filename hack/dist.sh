#!/usr/bin/env bash
# `make dist`: the binary that ships, and beside it (.cdx.json) what it is made of. With --path it only says where it is.
set -euo pipefail
cd "$(dirname "$0")/.."

# --target, though it is this machine's own: without it the flags would reach procedural macros
# and build scripts too, and the former cannot be linked statically.
host=$(rustc -vV | sed -n 's/^host: //p')
binary=${CARGO_TARGET_DIR:-target}/$host/dist/btfleet
if [ "${1:-}" = --path ]; then
  echo "$binary"
  exit
fi

hack/need.sh dist
flags=(
  -C target-feature=+crt-static
  # A program that may lie anywhere has 33,000 places to be set right at its start: a bit for each instead of 24 bytes.
  -C link-arg=-Wl,-z,pack-relative-relocs
  # The same bytes wherever it is built.
  "--remap-path-prefix=$PWD=/btfleet"
  "--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo"
)
printf -v list "'%s', " "${flags[@]}"
cargo build --profile dist --target "$host" --bin btfleet --config "target.$host.rustflags=[${list%, }]"
case $host in
  *-linux-*)
    # The loader's name is in every dynamic executable and in no static one.
    if readelf -lW "$binary" | grep -q 'INTERP'; then
      echo "$binary is not static" >&2
      exit 1
    fi
    ;;
esac
hack/sbom.sh >"$binary.cdx.json"
echo "$binary ($(du -h --apparent-size "$binary" | cut -f1)), static"
