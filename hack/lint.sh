#!/usr/bin/env bash
# hack/lint.sh {fmt|check|clippy|docs}…: for the package and for those that live inside its folder
# (benches/dump, examples/aya, fuzz, tests/libbpf), which are packages of their own so that `cargo test` need not build them.
set -euo pipefail
cd "$(dirname "$0")/.."

packages=(.)
for inner in benches/dump examples/aya fuzz tests/libbpf; do
  if [ -e "$inner/Cargo.toml" ]; then packages+=("$inner"); fi
done

each() {
  local package
  for package in "${packages[@]}"; do
    "$@" --manifest-path "$package/Cargo.toml"
  done
}

for task in "$@"; do
  case $task in
    fmt) each cargo fmt ;;
    check) each cargo fmt --check ;;
    clippy)
      hack/need.sh fuzz bench
      cargo clippy --locked --all-targets --all-features -- -D warnings
      cargo clippy --locked --all-targets --no-default-features -- -D warnings
      for package in "${packages[@]:1}"; do
        cargo clippy --locked --all-targets --manifest-path "$package/Cargo.toml" -- -D warnings
      done
      ;;
    docs) RUSTDOCFLAGS='-D warnings' cargo doc --locked --no-deps --all-features --document-private-items ;;
    *) echo "usage: hack/lint.sh {fmt|check|clippy|docs}…" >&2; exit 2 ;;
  esac
done
