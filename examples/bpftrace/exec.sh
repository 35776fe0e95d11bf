#!/bin/sh
# exec.sh BTF [FLAG…]: runs exec.bt with the types of the kernel that BTF describes (vmlinux.btf, as `btfleet fetch`
# left it). Flags are bpftrace's: -d shows what it would do and loads nothing.
set -eu
btf=$1
shift
BPFTRACE_BTF=$btf exec bpftrace "$@" "$(dirname "$0")/exec.bt"
