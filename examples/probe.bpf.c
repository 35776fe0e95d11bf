// Says who executes what, with the parent that only the kernel's own types can find. It needs no BTF in the kernel
// itself: its fields are found by CO-RE, in the BTF that the loader is given.
#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

SEC("raw_tracepoint/sched_process_exec")
int on_exec(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *task = (struct task_struct *)ctx->args[0];

	bpf_printk("exec: pid %d, parent %d", BPF_CORE_READ(task, tgid), BPF_CORE_READ(task, real_parent, tgid));
	return 0;
}
