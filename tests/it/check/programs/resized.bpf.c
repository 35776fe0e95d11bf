// Fields that the program takes to be wider, narrower, of another sign or of another kind than the kernel's: what
// may be loaded in another width is, what may not is made invalid or does not match.
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>

struct task_struct___wide {
	u64 flags;
	u64 start_time;
	s64 pid;
	u64 tgid;
	u8 policy;
	u32 utime;
} __attribute__((preserve_access_index));

struct task_struct___kinds {
	void *pid;
	u64 mm;
	struct list_head *tasks;
	u32 comm;
	struct cred *files;
	struct { int x; } cred;
	int se;
	enum hrtimer_restart prio;
} __attribute__((preserve_access_index));

struct sk_buff___narrow {
	u8 len;
	u16 data_len;
	u64 mark;
	u64 protocol;
} __attribute__((preserve_access_index));

/* An enum of the kernel's, and the same under another name. */
enum other_restart {
	OTHER_RESTART,
};

struct bpf_map___enums {
	enum other_restart map_type;
	u64 max_entries;
} __attribute__((preserve_access_index));

__u64 sum;

SEC("tp_btf/sched_switch")
int BPF_PROG(loads, bool preempt, struct task_struct *prev, struct task_struct *next)
{
	struct task_struct___wide *wide = (void *)prev;

	sum += wide->flags + wide->start_time + wide->utime;
	return 0;
}

SEC("?tp_btf/sched_switch")
int BPF_PROG(loads_of_another_sign, bool preempt, struct task_struct *prev, struct task_struct *next)
{
	struct task_struct___wide *wide = (void *)prev;

	sum += wide->pid + wide->tgid + wide->policy;
	return 0;
}

SEC("tc")
int packets(struct __sk_buff *ctx)
{
	struct sk_buff___narrow *skb = (void *)ctx;

	sum += bpf_core_field_size(skb->len) + bpf_core_field_offset(skb->data_len);
	sum += bpf_core_field_size(skb->mark) + bpf_core_field_exists(skb->protocol);
	return 0;
}

SEC("raw_tp/sched_switch")
int kinds(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct___kinds *task = (void *)ctx->args[1];
	struct bpf_map___enums *map = (void *)ctx->args[1];

	sum += bpf_core_field_exists(task->pid);
	sum += bpf_core_field_exists(task->mm);
	sum += bpf_core_field_exists(task->tasks);
	sum += bpf_core_field_exists(task->comm);
	sum += bpf_core_field_exists(task->files);
	sum += bpf_core_field_exists(task->cred);
	sum += bpf_core_field_exists(task->se);
	sum += bpf_core_field_exists(task->prio);
	sum += bpf_core_field_exists(map->map_type);
	sum += bpf_core_field_size(map->max_entries);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
