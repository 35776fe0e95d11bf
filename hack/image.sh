#!/usr/bin/env bash
# hack/image.sh FOLDER [TAG [TARGET]]: the images of an installation as docker archives in FOLDER, built without a registry and
# without a container engine: btfleet.tar (the Dockerfile's last stage over `make dist`'s binary, or over $BTFLEET),
# versitygw.tar (the bundled store) and pause.tar (what keeps a pod's namespaces, for the test's nodes). With TAG only
# btfleet's, of that tag, as btfleet-TAG.tar; TARGET is what $BTFLEET was compiled for, where that is another machine.
set -euo pipefail
cd "$(dirname "$0")/.."
out=$(mkdir -p "$1" && cd "$1" && pwd)
case ${3:-} in
  '') platform=() ;;
  aarch64-*) platform=(--arch arm64) ;;
  x86_64-*) platform=(--arch amd64) ;;
  *) echo "no image is known for $3" >&2; exit 2 ;;
esac
hack/need.sh image
if [ -z "${BTFLEET:-}" ]; then
  hack/dist.sh >&2
  BTFLEET=$(hack/dist.sh --path)
fi

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# image NAME[:TAG] ARCHIVE BUILDAH-BUD-ARGUMENTS…
image() {
  local name=$1 archive=$2 storage=(--root "$scratch/root" --runroot "$scratch/run" --storage-driver vfs)
  shift 2
  # One time of creation, that of the commit, so that the same input makes the same image.
  buildah "${storage[@]}" bud --quiet --isolation chroot "${platform[@]}" --timestamp "${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}" \
    --tag "localhost/$name" "$@" >/dev/null
  rm -f "$out/$archive" # buildah does not write over one
  buildah "${storage[@]}" push --quiet "localhost/$name" "docker-archive:$out/$archive:$name"
  echo "$out/$archive: $name, $(stat -c %s "$out/$archive") bytes"
}

mkdir -p "$scratch/build/out" "$scratch/context"
cp "$BTFLEET" "$scratch/build/out/btfleet"
hack/sbom.sh "${@:3}" >"$scratch/build/out/btfleet.cdx.json"
cp /etc/ssl/certs/ca-certificates.crt "$scratch/build/out/"
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
[ -z "${2:-}" ] || version=$2
image "btfleet/btfleet:$version" "btfleet${2:+-$2}.tar" \
  --target runtime --build-context build="$scratch/build" --build-arg VERSION="$version" \
  --build-arg REVISION="$(git rev-parse HEAD)" -f Dockerfile "$scratch/context"
[ -z "${2:-}" ] || exit 0

cp "$(hack/gotools.sh versitygw)" "$scratch/context/versitygw"
cp /etc/ssl/certs/ca-certificates.crt "$scratch/context/"
# As the chart names it.
image versity/versitygw:v1.8.0 versitygw.tar -f hack/versitygw.Dockerfile "$scratch/context"

cc -static -Os -s -o "$scratch/context/pause" -x c - <<'C'
#include <signal.h>
#include <unistd.h>
static void end(int signal) { _exit(0); }
int main(void) {
	signal(SIGTERM, end);
	signal(SIGINT, end);
	for (;;)
		pause();
}
C
printf 'FROM scratch\nCOPY pause /pause\nUSER 65535:65535\nENTRYPOINT ["/pause"]\n' >"$scratch/pause.Dockerfile"
image btfleet.test/pause:1 pause.tar -f "$scratch/pause.Dockerfile" "$scratch/context"
