// relocates: bpf_iter__task.meta, bpf_iter__task.task, bpf_iter_meta.seq, task_struct.tgid, task_struct.comm, task_struct.signal, signal_struct.nr_threads
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>

SEC("iter/task")
int dump_task(struct bpf_iter__task *ctx)
{
	struct seq_file *seq = ctx->meta->seq;
	struct task_struct *task = ctx->task;
	static const char format[] = "%d %s %d\n";
	__u64 args[3];

	if (!task)
		return 0;
	args[0] = task->tgid;
	args[1] = (__u64)task->comm;
	args[2] = task->signal->nr_threads;
	bpf_seq_printf(seq, format, sizeof(format), args, sizeof(args));
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
