#!/usr/bin/env bash
# hack/gotools.sh NAME…: prints the path of each tool, one a line, after building what is not there yet.
#   versitygw  etcd  kube-apiserver-1.37  kube-apiserver-1.34  kubectl  krew  helm  kubeconform  kwok  coredns
#   kubelet-1.34  kube-controller-manager-1.34  kube-scheduler-1.34  kube-proxy-1.34
# Each is built from a Go module of its own, hack/tools/MODULE, whose go.mod and go.sum pin it to the last
# dependency. What is built lies outside the tree, named by versions, so a clean clone finds what an earlier
# one built. A tool in $KUBEBUILDER_ASSETS (what setup-envtest fills) is used if it is of the same minor version.
set -euo pipefail
cd "$(dirname "$0")/tools"
PATH="$PATH:/usr/local/go/bin"
cache=${XDG_CACHE_HOME:-$HOME/.cache}/btfleet/gotools
least_go=1.26

# Go module that holds the tools of a folder here.
holds() {
  case $1 in
    versitygw) echo github.com/versity/versitygw ;;
    etcd) echo go.etcd.io/etcd/server/v3 ;;
    kubernetes-* | kubectl) echo k8s.io/kubernetes ;;
    helm) echo helm.sh/helm/v4 ;;
    kubeconform) echo github.com/yannh/kubeconform ;;
    kwok) echo sigs.k8s.io/kwok ;;
    coredns) echo github.com/coredns/coredns ;;
    krew) echo sigs.k8s.io/krew ;;
    *) return 1 ;;
  esac
}

usage() {
  sed -n '2,4s/^# //p' ../gotools.sh >&2
  exit 2
}

pinned() { awk -v m="$(holds "$1")" '$1 == m && $2 ~ /^v/ { print substr($2, 2) }' "$1/go.mod"; }

go_is_there() {
  [ -z "${go_version:-}" ] || return 0
  go_version=$(GOTOOLCHAIN=local go env GOVERSION 2>/dev/null) || go_version=
  go_version=${go_version#go}
  if [ "$(printf '%s\n' "$least_go" "${go_version:-0}" | sort -V | head -n 1)" != "$least_go" ]; then
    echo "the servers that the tests run against are built with Go $least_go or newer; this machine has ${go_version:-none}." \
      "Get it from https://go.dev/dl/ and unpack it to /usr/local/go, or set KUBEBUILDER_ASSETS to a folder that holds them" >&2
    exit 1
  fi
}

# build MODULE VERSION FOLDER: all that the module lists as tools, in one go, since they share most packages.
build() {
  local module=$1 version=$2 folder=$3 flags='-s -w' began=$SECONDS cgo=1 major minor
  case $module in
    kube*)
      # Otherwise it calls itself 0.0.0, and whoever asks for the server's version is misled.
      IFS=. read -r major minor _ <<<"$version"
      for setting in "gitVersion=v$version" "gitMajor=$major" "gitMinor=$minor"; do
        flags+=" -X k8s.io/component-base/version.$setting"
      done
      ;;
    versitygw)
      flags+=" -X main.Version=v$version"
      cgo=0 # an image of nothing else holds it
      ;;
  esac
  echo "building $module $version with Go $go_version (once)" >&2
  rm -rf "$folder.unfinished" # of a build that was killed
  mkdir "$folder.unfinished"
  (cd "$module" && CGO_ENABLED=$cgo nice -n 5 go build -p 2 -trimpath -buildvcs=false -ldflags "$flags" -o "$folder.unfinished/" tool) >&2
  # Named by the last part of its path.
  [ "$module" != etcd ] || mv "$folder.unfinished/server" "$folder.unfinished/etcd"
  mv -T "$folder.unfinished" "$folder"
  echo "built $module $version in $((SECONDS - began)) s" >&2
}

# in_assets BINARY VERSION: whether $KUBEBUILDER_ASSETS has that binary, at that minor version.
in_assets() {
  local binary=${KUBEBUILDER_ASSETS:-}/$1 said
  [ -n "${KUBEBUILDER_ASSETS:-}" ] && [ -x "$binary" ] || return 1
  case $1 in
    kubectl) said=$("$binary" version --client) ;;
    *) said=$("$binary" --version) ;;
  esac
  grep -qE "[ v]${2%.*}\." <<<"$said"
}

tool() {
  local name=$1 binary module version folder
  case $name in
    *-1.[0-9][0-9]) binary=${name%-*} module=kubernetes-${name##*-} ;;
    *) binary=$name module=$name ;;
  esac
  if ! holds "$module" >/dev/null || [ ! -e "$module/go.mod" ]; then
    echo "there is no tool $name" >&2
    usage
  fi
  version=$(pinned "$module")
  if in_assets "$binary" "$version"; then
    echo "$KUBEBUILDER_ASSETS/$binary"
    return
  fi
  go_is_there
  folder=$cache/$module-$version-go$go_version-$(cat "$module"/* | sha256sum | cut -c1-8)
  [ "$module" != versitygw ] || folder+=-static
  if [ ! -e "$folder" ]; then
    mkdir -p "$cache"
    (
      flock 9 # who waited for another's build finds it done
      [ -e "$folder" ] || build "$module" "$version" "$folder"
    ) 9>"$cache/$module.lock"
  fi
  if [ ! -x "$folder/$binary" ]; then
    echo "$module has no tool of the name $binary" >&2
    exit 2
  fi
  echo "$folder/$binary"
}

[ $# -gt 0 ] || usage
for name in "$@"; do tool "$name"; done
