#!/usr/bin/env bash
# hack/krew.sh FOLDER [BINARY]: packs the kubectl plugin for krew, for this machine's architecture, as
# FOLDER/kubectl-btfleet-linux-ARCH.tar.gz, and writes FOLDER/btfleet.yaml, the manifest of all architectures that the
# folder holds. BINARY: what to pack; otherwise the binary that ships, which is built. The same binary gives the same
# archive.
set -euo pipefail
out=$(realpath -m "${1:?usage: hack/krew.sh FOLDER [BINARY]}")
binary=${2:+$(realpath "$2")}
cd "$(dirname "$0")/.."
if [ -z "$binary" ]; then
  hack/dist.sh
  binary=$(hack/dist.sh --path)
fi
case $(uname -m) in
  x86_64) arch=amd64 ;;
  aarch64) arch=arm64 ;;
  *) arch=$(uname -m) ;;
esac
version=v$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
home=$(sed -n 's/^repository = "\(.*\)"/\1/p' Cargo.toml)

mkdir -p "$out"
packed=$(mktemp -d)
trap 'rm -rf "$packed"' EXIT
install -m 755 "$binary" "$packed/kubectl-btfleet"
install -m 644 LICENSE "$packed/LICENSE"
tar --create --directory "$packed" --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --format=ustar \
  LICENSE kubectl-btfleet | gzip -n >"$out/kubectl-btfleet-linux-$arch.tar.gz"

{
  cat <<TEXT
apiVersion: krew.googlecontainertools.github.com/v1alpha2
kind: Plugin
metadata:
  name: btfleet
spec:
  version: $version
  homepage: $home
  shortDescription: The exact vmlinux.h of every node
  description: |
    Lists the kernels of a cluster's nodes by their BTF, hands out each one's exact vmlinux.h, compares two nodes'
    kernels, and says why a node is not ready. "nodes", "kernels" and "doctor" need no more than to read Nodes;
    "get" and "diff" read from btfleet's server through the API server's proxy, without a port-forward.
  caveats: |
    For names of nodes and kernels on Tab, a second name of the plugin on the PATH:
      ln -s "\$(command -v kubectl-btfleet)" ~/.local/bin/kubectl_complete-btfleet
  platforms:
TEXT
  for archive in "$out"/kubectl-btfleet-linux-*.tar.gz; do
    name=$(basename "$archive")
    arch=${name#kubectl-btfleet-linux-}
    cat <<TEXT
  - selector:
      matchLabels:
        os: linux
        arch: ${arch%.tar.gz}
    uri: $home/releases/download/$version/$name
    sha256: $(sha256sum "$archive" | cut -d' ' -f1)
    bin: kubectl-btfleet
TEXT
  done
} >"$out/btfleet.yaml"
echo "$out/btfleet.yaml"
