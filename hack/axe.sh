#!/usr/bin/env bash
# hack/axe.sh: prints the path of axe-core's script, which judges pages for people who cannot see or use a mouse. It is
# fetched once, outside the tree, in a folder named by its version.
set -euo pipefail
version=4.14.1
root=${XDG_CACHE_HOME:-$HOME/.cache}/btfleet/tools/axe-core-$version
if [ ! -e "$root/axe.min.js" ]; then
  scratch=$(mktemp -d)
  trap 'rm -rf "$scratch"' EXIT
  (cd "$scratch" && npm pack --silent "axe-core@$version" >/dev/null && tar -xzf ./*.tgz) >&2
  mkdir -p "$root"
  # Whole or not at all: two may do this at a time.
  mv "$scratch/package/axe.min.js" "$root/axe.min.js.$$"
  mv "$root/axe.min.js.$$" "$root/axe.min.js"
fi
echo "$root/axe.min.js"
