// Enumerators: there and not, of another value in another kernel, of flavoured enums and of typedefs of enums.
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>

/* What follows `___` is of this program, in an enumerator's name too. */
enum bpf_map_type___mine {
	BPF_MAP_TYPE_HASH___mine = 77,
	BPF_MAP_TYPE_RINGBUF___mine = 78,
	BPF_MAP_TYPE_NO_SUCH___mine = 79,
};

enum cgroup_subsys_id___mine {
	memory_cgrp_id___mine = -5,
	pids_cgrp_id___mine = 300,
};

enum no_such_enum {
	OF_NO_KERNEL = 3,
};

typedef enum { OF_THIS_PROGRAM = 1 } no_such_enum_t;
typedef enum bpf_map_type bpf_map_type_t;

/* Negative values. */
enum hrtimer_restart___mine {
	HRTIMER_NORESTART___mine = -1,
};

__s64 sum;

SEC("kprobe/vfs_read")
int values(void *ctx)
{
	sum += bpf_core_enum_value(enum bpf_map_type, BPF_MAP_TYPE_HASH);
	sum += bpf_core_enum_value(enum bpf_map_type, BPF_MAP_TYPE_ARENA);
	sum += bpf_core_enum_value(enum bpf_map_type___mine, BPF_MAP_TYPE_HASH___mine);
	sum += bpf_core_enum_value(enum cgroup_subsys_id, memory_cgrp_id);
	sum += bpf_core_enum_value(enum cgroup_subsys_id___mine, pids_cgrp_id___mine);
	sum += bpf_core_enum_value(enum bpf_func_id, BPF_FUNC_ringbuf_reserve);
	sum += bpf_core_enum_value(enum hrtimer_restart___mine, HRTIMER_NORESTART___mine);
	return 0;
}

SEC("kprobe/vfs_write")
int exist(void *ctx)
{
	sum += bpf_core_enum_value_exists(enum bpf_map_type, BPF_MAP_TYPE_ARENA);
	sum += bpf_core_enum_value_exists(enum bpf_map_type___mine, BPF_MAP_TYPE_RINGBUF___mine);
	sum += bpf_core_enum_value_exists(enum bpf_map_type___mine, BPF_MAP_TYPE_NO_SUCH___mine);
	sum += bpf_core_enum_value_exists(enum no_such_enum, OF_NO_KERNEL);
	sum += bpf_core_enum_value_exists(no_such_enum_t, OF_THIS_PROGRAM);
	sum += bpf_core_enum_value_exists(bpf_map_type_t, BPF_MAP_TYPE_ARRAY);
	if (bpf_core_enum_value_exists(enum bpf_map_type___mine, BPF_MAP_TYPE_NO_SUCH___mine))
		sum += bpf_core_enum_value(enum bpf_map_type___mine, BPF_MAP_TYPE_NO_SUCH___mine);
	if (bpf_core_enum_value_exists(enum no_such_enum, OF_NO_KERNEL))
		sum += bpf_core_enum_value(enum no_such_enum, OF_NO_KERNEL);
	return 0;
}

/* Nothing keeps it from running on a kernel that has no such enumerator. */
SEC("?kprobe/vfs_open")
int unguarded(void *ctx)
{
	sum += bpf_core_enum_value(enum bpf_map_type___mine, BPF_MAP_TYPE_NO_SUCH___mine);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
