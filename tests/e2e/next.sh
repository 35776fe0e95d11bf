#!/usr/bin/env bash
# next.sh BINARY: a release with another generator, as the next one may be: a copy of this tree's sources with the
# generator's number raised by one. It is built where the tests' own binary is, which has most of it built already, but
# for the last step: images hold nothing but a static program.
set -euo pipefail
cd "$(dirname "$0")/../.."
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
# One folder for all runs: cargo knows a package by its path, and keeps what it built of each.
folder=$target/tmp/next
mkdir -p "$target/tmp"
exec 8>"$folder.lock"
flock 8
rm -rf "$folder"
mkdir "$folder"
git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents -t "$folder"
cd "$folder"

# changed FILE SCRIPT: by sed, or it is an error.
changed() {
  local before
  before=$(sha256sum "$1")
  sed -i "$2" "$1"
  [ "$before" != "$(sha256sum "$1")" ] || { echo "next.sh: nothing in $1 fits $2" >&2; exit 1; }
}
number=$(sed -n 's/^pub const GENERATOR: u32 = \([0-9]*\);$/\1/p' src/dump/mod.rs)
changed src/dump/mod.rs "s/^pub const GENERATOR: u32 = $number;/pub const GENERATOR: u32 = $((number + 1));/"
# Under a name of its own, so that this tree's program stays what it is.
changed Cargo.toml '/^\[\[bin\]\]/,/^path/s/^name = "btfleet"$/name = "btfleet-next"/'
changed Cargo.toml 's/^default-run = "btfleet"$/default-run = "btfleet-next"/'
cargo rustc --locked --quiet --target-dir "$target" --bin btfleet-next -- -C target-feature=+crt-static
strip -o "$1" "$target/debug/btfleet-next"
if readelf -lW "$1" | grep -q INTERP; then
  echo "next.sh: $1 is not static" >&2
  exit 1
fi
