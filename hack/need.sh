#!/usr/bin/env bash
# Installs what a task needs and this machine lacks: hack/need.sh {run|test|libbpf|bench|serve|fuzz|dist|order|image|arm64|e2e}…
# Debian and Ubuntu: by apt-get, as root or with a sudo that asks for no password. Elsewhere, or
# without those rights, it says in one message what is missing and exits with 1.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH="$PATH:/usr/sbin:/sbin" # where Debian keeps bpftool, and a user's PATH does not look

packages=()  # to install
nowhere=()   # compiler versions that this distribution does not have

have() { command -v "$1" >/dev/null 2>&1; }

# need PACKAGE COMMAND…: the package, unless the command succeeds.
need() {
  local package=$1
  shift
  "$@" >/dev/null 2>&1 || packages+=("$package")
}

# What a compiler finds, which is not always where a package puts it.
header() { echo "#include <$1>" | cc -E -x c - -o /dev/null; }
static_library() { [ "$(cc -print-file-name="lib$1.a")" != "lib$1.a" ]; }

# Ubuntu's /usr/sbin/bpftool is a wrapper that looks for one of the running kernel's release.
bpftool_works() { bpftool version || ls /usr/lib/linux-tools/*/bpftool; }

known_to_apt() { [ -n "$(apt-cache madison "$1" 2>/dev/null)" ]; }

update_apt_once() {
  [ -n "${apt_updated:-}" ] && return
  apt_updated=yes
  if have apt-get && can_install; then as_root apt-get update -qq </dev/null >/dev/null || true; fi
}

can_install() { [ "$(id -u)" = 0 ] || { have sudo && sudo -n true 2>/dev/null; }; }
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi; }

cargo_is_there() {
  if ! have cargo; then
    cat >&2 <<'TEXT'
btfleet is built with Rust, and there is no cargo on this machine. Get it with rustup (https://rustup.rs):
    curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh
then open a new shell and try again.
TEXT
    exit 1
  fi
  # cargo itself would say this too, but one older than edition 2024 only says that it cannot read Cargo.toml.
  local least have_version
  least=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
  have_version=$(rustc --version | cut -d' ' -f2)
  if [ "$(printf '%s\n' "$least" "${have_version%%-*}" | sort -V | head -n 1)" != "$least" ]; then
    echo "btfleet needs Rust $least or newer; this is $have_version. With rustup: rustup update stable" >&2
    exit 1
  fi
}

for_build() {
  # The zstd crate compiles C. gcc alone does not bring the C library's headers.
  need gcc have cc
  if have cc; then need libc6-dev header stdlib.h; else packages+=(libc6-dev); fi
}

for_run() {
  for_build
  # Only to unpack the committed kernel where this machine has none of its own.
  [ -r /sys/kernel/btf/vmlinux ] || need zstd have zstd
}

for_compilers() {
  for_build
  # The compilers that every header is tried with.
  local compiler
  for compiler in clang-14 clang-16 clang-19 gcc-12; do
    have "$compiler" && continue
    update_apt_once
    if known_to_apt "$compiler"; then packages+=("$compiler"); else nowhere+=("$compiler"); fi
  done
  # What programs include beside vmlinux.h.
  need libbpf-dev header bpf/bpf_helpers.h
  need linux-libc-dev header linux/errno.h
}

for_test() {
  for_compilers
  need binutils have objcopy # puts BTF into ELF files
  need python3 have python3 # the layout check beside the checkout, where there is one
  need gcc-arm-linux-gnueabihf have arm-linux-gnueabihf-gcc # 32-bit kernels' headers
  need libc6-dev-armhf-cross test -e /usr/arm-linux-gnueabihf/include/stdint.h
  # The servers that the tests start: setpriv ties them to the test's process, flock keeps two builds apart.
  need util-linux eval 'have setpriv && have flock'
  need curl have curl # signs requests to the S3 server, apart from our own code
  # Tries the server against its description, from a venv of its own.
  need python3-venv python3 -c 'import ensurepip, venv'
  need bpftrace have bpftrace # examples/bpftrace
  # The pages are looked at in a real browser, and judged by axe-core.
  need chromium have chromium
  need chromium-driver have chromedriver
  need fonts-dejavu-core test -e /usr/share/fonts/truetype/dejavu/DejaVuSans.ttf
  need npm have npm
  for_side_by_side
}

# Built here, not installed: see hack/gotools.sh.
servers() {
  hack/gotools.sh versitygw etcd kube-apiserver-1.37 kube-apiserver-1.34 kubectl krew helm kubeconform >/dev/null
}

# What we are compared with.
for_side_by_side() {
  if ! bpftool_works >/dev/null 2>&1; then
    update_apt_once
    if known_to_apt bpftool && apt-cache show bpftool 2>/dev/null | grep -q '^Filename:'; then
      packages+=(bpftool)
    else
      packages+=(linux-tools-generic) # Ubuntu's name for it
    fi
  fi
  need zstd have zstd
}

for_bench() {
  for_build
  for_side_by_side
  libbpf_links_to
}

for_libbpf() {
  for_compilers
  libbpf_links_to
}

# libbpf is built from its crate.
libbpf_links_to() {
  need make have make
  need pkg-config have pkg-config
  need libelf-dev header libelf.h
  need zlib1g-dev header zlib.h
}

for_serve() {
  for_build
  if have cc; then need libc6-dev static_library c; fi # for the binary that ships
  need curl have curl
  need zstd have zstd
  need procps have pgrep
}

for_dist() {
  for_build
  need jq have jq # what it is made of, as JSON
  if have cc; then need libc6-dev static_library c; fi
}

# What a `dump` runs.
for_order() {
  for_dist
  need qemu-user have qemu-x86_64
  need python3 have python3
  need zstd have zstd
}

for_image() {
  for_dist
  need buildah have buildah
  need git have git # the time of the commit is the image's
}

# From another machine.
for_arm64() {
  need gcc-aarch64-linux-gnu have aarch64-linux-gnu-gcc
  need libc6-dev-arm64-cross test -e /usr/aarch64-linux-gnu/lib/libc.a
  need qemu-user-static have qemu-aarch64-static
  need zstd have zstd
  local target=aarch64-unknown-linux-gnu
  if [ ! -e "$(rustc --print target-libdir --target $target)" ] && ! rustup target add $target; then
    echo "rustc has no standard library for $target, and rustup could not add it" >&2
    exit 1
  fi
}

for_e2e() {
  for_image
  need containerd have containerd
  need runc have runc
  need containernetworking-plugins eval 'test -x /usr/lib/cni/bridge || test -x /opt/cni/bin/bridge'
  need iptables have iptables
  need iproute2 have ip
  need util-linux eval 'have setpriv && have unshare && have nsenter'
  need openssl have openssl
  need curl have curl
  need zstd have zstd
  need clang-16 have clang-16
  need libbpf-dev header bpf/bpf_helpers.h
  need bpftrace have bpftrace
}

# Built here, not installed.
e2e_tools() {
  hack/gotools.sh versitygw etcd kubectl helm coredns kube-apiserver-1.34 kube-controller-manager-1.34 kube-scheduler-1.34 \
    kube-proxy-1.34 kubelet-1.34 >/dev/null
}

for_fuzz() {
  for_build
  need g++ have g++ # libFuzzer is C++
}

install_packages() {
  mapfile -t packages < <(printf '%s\n' "${packages[@]}" | sort -u)
  local line="apt-get install -y ${packages[*]}"
  if ! have apt-get; then
    echo "missing here (by their Debian names): ${packages[*]}. Install them and try again." >&2
    exit 1
  fi
  if ! can_install; then
    echo "missing here: ${packages[*]}. Install them and try again:" >&2
    echo "    sudo $line" >&2
    exit 1
  fi
  echo "installing: ${packages[*]}" >&2
  update_apt_once
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}" \
    </dev/null >/dev/null
}

cargo_is_there
for task in "$@"; do
  case $task in
    run | test | libbpf | bench | serve | fuzz | dist | order | image | arm64 | e2e) "for_$task" ;;
    *) echo "usage: hack/need.sh {run|test|libbpf|bench|serve|fuzz|dist|order|image|arm64|e2e}…" >&2; exit 2 ;;
  esac
done
[ ${#packages[@]} = 0 ] || install_packages
if [[ " $* " == *" test "* ]]; then
  servers
  hack/schemathesis.sh
  hack/axe.sh >/dev/null
  hack/operator-crds.sh >/dev/null
fi
if [[ " $* " == *" e2e "* ]]; then e2e_tools; fi
[ ${#nowhere[@]} = 0 ] || echo "this distribution has no ${nowhere[*]}: the tests that need them cannot run here" >&2
