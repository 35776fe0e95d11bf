// relocates: task_struct.pid, task_struct.__state, task_struct.se.sum_exec_runtime, rq.nr_running
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 1024);
	__type(key, u32);
	__type(value, u64);
} runtime SEC(".maps");

SEC("tp_btf/sched_switch")
int BPF_PROG(on_switch, bool preempt, struct task_struct *prev, struct task_struct *next)
{
	u32 pid = prev->pid;
	u64 ran = prev->se.sum_exec_runtime;

	if (!preempt && prev->__state == 0)
		bpf_map_update_elem(&runtime, &pid, &ran, BPF_ANY);
	return 0;
}

SEC("tp_btf/sched_update_nr_running_tp")
int BPF_PROG(on_running, struct rq *rq, int change)
{
	return rq->nr_running > (unsigned int)change;
}

char LICENSE[] SEC("license") = "GPL";
