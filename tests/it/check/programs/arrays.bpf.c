// Array elements, of arrays of arrays and of records, within a kernel's bounds and beyond them; flexible arrays;
// and the pointer itself taken as an array.
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>

/* Longer, shorter and of another element than a kernel's own. */
struct task_struct___long {
	char comm[64];
} __attribute__((preserve_access_index));

struct task_struct___short {
	char comm[4];
} __attribute__((preserve_access_index));

struct task_struct___words {
	u32 comm[4];
} __attribute__((preserve_access_index));

struct task_struct___pointers {
	void *comm[2];
} __attribute__((preserve_access_index));

/* A flexible array where kernels have one, where theirs has a length, and where no array is. */
struct bpf_prog___flexible {
	u32 len;
	u8 tag[];
} __attribute__((preserve_access_index));

struct linux_binprm___flexible {
	int argc;
	char buf[];
} __attribute__((preserve_access_index));

__u64 sum;

SEC("raw_tp/sched_switch")
int elements(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *task = (void *)ctx->args[1];
	struct task_struct___long *longer = (void *)task;
	struct task_struct___short *shorter = (void *)task;
	struct task_struct___words *words = (void *)task;
	struct task_struct___pointers *pointers = (void *)task;

	sum += bpf_core_field_offset(task->comm[0]) + bpf_core_field_offset(task->comm[15]);
	sum += bpf_core_field_offset(task->thread_pid) + bpf_core_field_size(task->comm[2]);
	sum += bpf_core_field_exists(longer->comm[15]) + 2 * bpf_core_field_exists(longer->comm[40]);
	sum += bpf_core_field_offset(shorter->comm[3]) + bpf_core_field_size(shorter->comm);
	sum += bpf_core_field_offset(words->comm[2]) + bpf_core_field_size(words->comm[1]);
	sum += bpf_core_field_exists(pointers->comm) + bpf_core_field_exists(pointers->comm[1]);
	if (bpf_core_field_exists(longer->comm[40]))
		sum += BPF_CORE_READ(longer, comm[40]);
	return 0;
}

SEC("raw_tp/sys_enter")
int flexible(struct bpf_raw_tracepoint_args *ctx)
{
	struct bpf_prog *prog = (void *)ctx->args[0];
	struct bpf_prog___flexible *tagged = (void *)ctx->args[0];
	struct linux_binprm___flexible *binprm = (void *)ctx->args[0];

	sum += bpf_core_field_offset(prog->insnsi[0]) + bpf_core_field_offset(prog->insnsi[7]);
	sum += bpf_core_field_exists(prog->insnsi[1000]) + BPF_CORE_READ(prog, insnsi[3].imm);
	sum += bpf_core_field_offset(tagged->tag[3]) + bpf_core_field_exists(tagged->tag[90]);
	sum += bpf_core_field_offset(binprm->buf[9]) + bpf_core_field_exists(binprm->buf[999]);
	return 0;
}

SEC("raw_tp/sys_exit")
int pointers_as_arrays(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *task = (void *)ctx->args[1];
	struct list_head *list = (void *)ctx->args[0];

	sum += bpf_core_field_offset(task[1].pid) + bpf_core_field_offset(task[3].comm[2]);
	sum += bpf_core_field_offset(list[2].prev);
	sum += BPF_CORE_READ(&list[5], next) != NULL;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
