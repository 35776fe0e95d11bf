// relocates: task_struct.utime
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

struct slot {
	struct bpf_spin_lock lock;
	__u64 sum, count;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, struct slot);
} slots SEC(".maps");

SEC("tp_btf/sched_process_exit")
int BPF_PROG(on_exit, struct task_struct *task)
{
	__u32 cpu = bpf_get_smp_processor_id();
	struct slot *slot = bpf_map_lookup_elem(&slots, &cpu);
	__u64 spent = task->utime;

	if (!slot)
		return 0;
	bpf_spin_lock(&slot->lock);
	slot->sum += spent;
	slot->count++;
	bpf_spin_unlock(&slot->lock);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
