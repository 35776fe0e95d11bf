#!/usr/bin/env bash
# hack/fuzz.sh SECONDS: runs every fuzz target for so long. With FUZZ_RUNS=N each ends after N inputs if that
# comes first. Which ones they are is chance, whatever the seed: the fuzzer goes by where the code lies and by how
# hash tables, whose keys are random, fill.
# By default without a sanitizer: the code under test is safe Rust, whose faults are panics, hangs and
# memory, libFuzzer sees those alone, and so the stable compiler will do. FUZZ_SANITIZER=address wants a nightly.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:?usage: hack/fuzz.sh SECONDS}
sanitizer=${FUZZ_SANITIZER:-none}

if [ ! -e fuzz/Cargo.toml ]; then
  echo "there is no fuzz/Cargo.toml" >&2
  exit 1
fi
hack/need.sh fuzz
PATH="$(hack/tool.sh cargo-fuzz 0.13.2):$PATH"
toolchain=()
[ "$sanitizer" = none ] || toolchain=(+nightly)
host=$(rustc -vV | sed -n 's/^host: //p')
limits=("-max_total_time=$seconds")
[ -z "${FUZZ_RUNS:-}" ] || limits+=("-runs=$FUZZ_RUNS")

cargo "${toolchain[@]}" fuzz build --target "$host" --sanitizer "$sanitizer"
mapfile -t targets < <(cargo fuzz list)
[ ${#targets[@]} -gt 0 ] || { echo "fuzz/Cargo.toml names no target" >&2; exit 1; }
for target in "${targets[@]}"; do
  mkdir -p "fuzz/corpus/$target"
  corpus=("fuzz/corpus/$target")
  # What is found goes into the first folder; the committed seeds are only read.
  for seeds in fuzz/seeds/btf "fuzz/seeds/$target"; do
    [ ! -d "$seeds" ] || corpus+=("$seeds")
  done
  echo "fuzzing $target for $seconds s"
  # 4 KiB say as much as more would, in less time. An input may take 2 s and 256 MiB; these limits leave
  # room for the fuzzer's own and for a busy machine.
  if ! cargo "${toolchain[@]}" fuzz run --target "$host" --sanitizer "$sanitizer" "$target" "${corpus[@]}" -- \
    "${limits[@]}" -max_len=4096 -timeout=5 -rss_limit_mb=1024 -print_final_stats=1 </dev/null; then
    # For whoever has the log alone.
    for find in "fuzz/artifacts/$target"/*; do
      printf '%s, base64:\n%s\n' "$find" "$(base64 -w 0 "$find")"
    done >&2
    exit 1
  fi
done
