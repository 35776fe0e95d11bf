#!/usr/bin/env bash
# next.sh FOLDER BINARY: a release with another generator, as the next one may be: this tree's sources, copied to FOLDER,
# with the generator's number raised by one. It is built like the tests' own binary, which has most of it built already,
# but for the last step: images hold nothing but a static program.
set -euo pipefail
cd "$(dirname "$0")/../.."
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
mkdir "$1"
git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents -t "$1"
cd "$1"

# changed FILE SCRIPT: by sed, or it is an error.
changed() {
  local before
  before=$(sha256sum "$1")
  sed -i "$2" "$1"
  [ "$before" != "$(sha256sum "$1")" ] || { echo "next.sh: nothing in $1 fits $2" >&2; exit 1; }
}
number=$(sed -n 's/^pub const GENERATOR: u32 = \([0-9]*\);$/\1/p' src/dump/mod.rs)
changed src/dump/mod.rs "s/^pub const GENERATOR: u32 = $number;/pub const GENERATOR: u32 = $((number + 1));/"
# Under a name of its own: this tree's program is built in the same place.
changed Cargo.toml '/^\[\[bin\]\]/,/^path/s/^name = "btfleet"$/name = "btfleet-next"/'
changed Cargo.toml 's/^default-run = "btfleet"$/default-run = "btfleet-next"/'
cargo rustc --locked --quiet --target-dir "$target" --bin btfleet-next -- -C target-feature=+crt-static
strip -o "$2" "$target/debug/btfleet-next"
if readelf -lW "$2" | grep -q INTERP; then
  echo "next.sh: $2 is not static" >&2
  exit 1
fi
