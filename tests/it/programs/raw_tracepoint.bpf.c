// relocates: bpf_raw_tracepoint_args.args[1], task_struct.pid, task_struct.mm, mm_struct.arg_start
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

const volatile pid_t wanted = 0;
__u64 switches = 0;

SEC("raw_tp/sched_switch")
int on_switch(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *prev = (struct task_struct *)ctx->args[1];
	unsigned long start = BPF_CORE_READ(prev, mm, arg_start);

	if (BPF_CORE_READ(prev, pid) == wanted && start)
		__sync_fetch_and_add(&switches, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
