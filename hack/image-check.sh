#!/usr/bin/env bash
# `make image-check`: builds the committed tree twice, in two folders of different names, each from nothing, and compares
# the binaries and what they are said to be made of. It takes two whole builds.
set -euo pipefail
cd "$(dirname "$0")/.."
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
for folder in one a-longer-name/two; do
  mkdir -p "$scratch/$folder"
  git archive HEAD | tar -x -C "$scratch/$folder"
  env CARGO_TARGET_DIR="$scratch/$folder/target" "$scratch/$folder/hack/dist.sh"
  mv "$(CARGO_TARGET_DIR=$scratch/$folder/target hack/dist.sh --path)"{,.cdx.json} "$scratch/$folder"
done
for file in btfleet btfleet.cdx.json; do
  sha256sum "$scratch/one/$file" "$scratch/a-longer-name/two/$file" | sed "s,$scratch/,,"
  cmp "$scratch/one/$file" "$scratch/a-longer-name/two/$file"
done
echo "$(git rev-parse --short HEAD): the same bytes from both folders"
