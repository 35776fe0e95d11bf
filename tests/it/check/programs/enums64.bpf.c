// needs: 15: earlier ones have no BTF_KIND_ENUM64
// Enumerators that need 64 bits, here, in the kernel, or in one of the two only.
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>

/* Narrow in kernels. */
enum bpf_map_type___wide {
	BPF_MAP_TYPE_HASH___wide = 0x123456789abcdefULL,
	BPF_MAP_TYPE_NO_SUCH___wide = 0xfedcba9876543210ULL,
};

/* Wide in kernels. */
enum perf_callchain_context___narrow {
	PERF_CONTEXT_KERNEL___narrow = 1,
	PERF_CONTEXT_NO_SUCH___narrow = 2,
};

enum perf_callchain_context___signed {
	PERF_CONTEXT_USER___signed = -0x123456789abLL,
};

__u64 sum;

SEC("kprobe/vfs_read")
int values(void *ctx)
{
	sum += bpf_core_enum_value(enum bpf_map_type___wide, BPF_MAP_TYPE_HASH___wide);
	sum += bpf_core_enum_value(enum perf_callchain_context___narrow, PERF_CONTEXT_KERNEL___narrow);
	sum += bpf_core_enum_value(enum perf_callchain_context___signed, PERF_CONTEXT_USER___signed);
	sum += bpf_core_enum_value(enum perf_callchain_context, PERF_CONTEXT_MAX);
	return 0;
}

SEC("kprobe/vfs_write")
int exist(void *ctx)
{
	sum += bpf_core_type_exists(enum bpf_map_type___wide);
	sum += bpf_core_type_size(enum bpf_map_type___wide);
	sum += bpf_core_type_exists(enum perf_callchain_context___narrow);
	sum += bpf_core_type_size(enum perf_callchain_context___narrow);
	sum += bpf_core_type_matches(enum perf_callchain_context___signed);
	sum += bpf_core_type_matches(enum perf_callchain_context___narrow);
	sum += bpf_core_type_matches(enum bpf_map_type___wide);
	sum += bpf_core_enum_value_exists(enum perf_callchain_context___narrow, PERF_CONTEXT_NO_SUCH___narrow);
	sum += bpf_core_enum_value_exists(enum bpf_map_type___wide, BPF_MAP_TYPE_NO_SUCH___wide);
	if (bpf_core_enum_value_exists(enum bpf_map_type___wide, BPF_MAP_TYPE_NO_SUCH___wide))
		sum += bpf_core_enum_value(enum bpf_map_type___wide, BPF_MAP_TYPE_NO_SUCH___wide);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
