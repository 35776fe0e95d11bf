#!/usr/bin/env bash
# hack/tool.sh CRATE VERSION: builds a cargo tool once and prints the folder that holds its binary.
# The folder is outside the tree and named by the version, so a clean clone finds what an earlier one built.
set -euo pipefail
crate=$1 version=$2
root=${XDG_CACHE_HOME:-$HOME/.cache}/btfleet/tools/$crate-$version
if [ ! -x "$root/bin/$crate" ]; then
  # --debug: builds in half the time, and how fast these tools run hardly counts here.
  env -u CARGO_TARGET_DIR cargo install "$crate" --debug --version "$version" --locked --root "$root" >&2
fi
echo "$root/bin"
