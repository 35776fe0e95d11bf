#!/usr/bin/env bash
# hack/bench-check.sh: `btfleet check` of 1, 10 and 100 objects on 1, 10 and 100 kernels; time and memory of each.
# Objects: the programs of the tests by clang 14, 16 and 19. Kernels: the committed ones, each again under other names
# (each is read, parsed and indexed as if it were another); CHECK_KERNELS=DIR takes the *.btf of a folder instead.
# BTFLEET: the binary to measure; otherwise a release build of the core.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH="$PATH:/usr/sbin:/sbin"
hack/need.sh test bench >/dev/null
if [ -z "${BTFLEET:-}" ]; then
  cargo build --release --quiet --no-default-features --features cli
  BTFLEET=$(realpath "${CARGO_TARGET_DIR:-target}")/release/btfleet
fi
btfleet=$(realpath "$BTFLEET")
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
mkdir "$dir/kernels" "$dir/objects" "$dir/include"

given=${CHECK_KERNELS:-}
if [ -z "$given" ]; then
  given=$dir/given
  mkdir "$given"
  for packed in tests/fixtures/amd64-*.btf.zst tests/fixtures/x86_64-*.btf.zst; do
    case $packed in *-mod-*) continue ;; esac
    name=${packed##*/}
    zstd -qd --long=27 "$packed" -o "$given/${name%.zst}"
  done
fi
mapfile -t given < <(find "$(realpath "$given")" -name '*.btf' | sort)
for n in $(seq 100); do
  ln -s "${given[n % ${#given[@]}]}" "$dir/kernels/$(printf %03d "$n").btf"
done

"$btfleet" dump "${given[0]}" -o "$dir/include/vmlinux.h"
objects=0
for clang in clang-19 clang-16 clang-14; do
  for program in tests/it/programs/*.bpf.c tests/it/check/programs/*.bpf.c; do
    [ $objects -lt 100 ] || break 2
    # Some are for newer clangs or another kernel's header.
    if "$clang" -g -O2 -target bpf -D__TARGET_ARCH_x86 -w -I"$dir/include" \
      -idirafter "/usr/include/$(uname -m)-linux-gnu" -c "$program" \
      -o "$dir/objects/$(printf %03d $((objects + 1))).o" 2>/dev/null; then
      objects=$((objects + 1))
    fi
  done
done
[ $objects = 100 ] || { echo "only $objects objects could be compiled" >&2; exit 1; }

cd "$dir"
printf '%8s %8s %8s %8s %10s\n' objects kernels seconds cpu memory
for objects in 1 10 100; do
  for kernels in 1 10 100; do
    mapfile -t o < <(find objects -name '*.o' | sort | head -n $objects)
    mapfile -t k < <(find kernels -name '*.btf' | sort | head -n $kernels)
    # 1: something fails, as some of these are meant to.
    { TIMEFORMAT='%R %U %S'; time python3 - "$btfleet" "${o[@]}" "${k[@]}" 2>memory <<'TEXT'
import resource, subprocess, sys
done = subprocess.run([sys.argv[1], "check", *sys.argv[2:]], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
assert done.returncode in (0, 1), done.stderr
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024, "MiB", file=sys.stderr)
TEXT
    } 2>times
    read -r real user system <times
    printf '%8d %8d %8s %8s %10s\n' "$objects" "$kernels" "$real" "$(python3 -c "print(round($user+$system,2))")" "$(cat memory)"
  done
done
