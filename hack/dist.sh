#!/usr/bin/env bash
# hack/dist.sh [--path] [TARGET]: the binary that ships, and beside it what it is made of (.cdx.json) and where everything
# lies in it (.map), for this machine or for another target that rustc and a C compiler know. With --path it only says where
# it is.
set -euo pipefail
cd "$(dirname "$0")/.."

path=
if [ "${1:-}" = --path ]; then
  path=yes
  shift
fi
target=${1:-$(rustc -vV | sed -n 's/^host: //p')}
binary=${CARGO_TARGET_DIR:-target}/$target/dist/btfleet
if [ -n "$path" ]; then
  echo "$binary"
  exit
fi

hack/need.sh dist
flags=(
  -C target-feature=+crt-static
  # At a fixed place in memory, as Go's programs lie: otherwise 33,000 places are to be set right at each start, in memory
  # that is then this process's own.
  -C relocation-model=static
  # Only this linker can tell one file's unwinding tables from another's.
  -C link-arg=-fuse-ld=bfd
  -C link-arg=-Wl,-T,hack/dist.ld
  # Where everything lies, and names that say what of; neither is in the binary.
  "-Clink-arg=-Wl,-Map=$binary.map"
  -C symbol-mangling-version=v0
  # The same bytes wherever it is built.
  "--remap-path-prefix=$PWD=/btfleet"
  "--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo"
)
printf -v list "'%s', " "${flags[@]}"
# --target, though it may be this machine's own: without it the flags would reach procedural macros
# and build scripts too, and the former cannot be linked statically.
# What is the program's own, its commands, waits for a disk or a network: small.
cargo rustc --profile dist --target "$target" --bin btfleet --config "target.$target.rustflags=[${list%, }]" \
  -- -C opt-level=z
case $target in
  *-linux-*)
    # The loader's name is in every dynamic executable and in no static one.
    if readelf -lW "$binary" | grep -q 'INTERP'; then
      echo "$binary is not static" >&2
      exit 1
    fi
    ;;
esac
hack/sbom.sh "$target" >"$binary.cdx.json"
echo "$binary ($(du -h --apparent-size "$binary" | cut -f1)), static"
