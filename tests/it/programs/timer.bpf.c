// relocates:
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#define CLOCK_MONOTONIC 1

struct slot {
	struct bpf_timer timer;
	__u64 fired;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, int);
	__type(value, struct slot);
} slots SEC(".maps");

static int fire(void *map, int *key, struct slot *slot)
{
	slot->fired++;
	bpf_timer_start(&slot->timer, 1000000, 0);
	return 0;
}

SEC("fentry/bpf_fentry_test1")
int BPF_PROG(start, int a)
{
	int key = 0;
	struct slot *slot = bpf_map_lookup_elem(&slots, &key);

	if (!slot)
		return 0;
	bpf_timer_init(&slot->timer, &slots, CLOCK_MONOTONIC);
	bpf_timer_set_callback(&slot->timer, fire);
	bpf_timer_start(&slot->timer, 0, 0);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
