// What no kernel has, asked for where nothing, or only something that is no constant, stands before it; one program
// asks for what every kernel has; one is optional.
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>

struct task_struct___none {
	int no_such_field;
} __attribute__((preserve_access_index));

struct no_such_type {
	int field;
} __attribute__((preserve_access_index));

const volatile bool wanted;
__u64 sum;

SEC("tp_btf/sched_switch")
int BPF_PROG(plain, bool preempt, struct task_struct *prev, struct task_struct *next)
{
	struct task_struct___none *none = (void *)prev;

	sum += none->no_such_field;
	return 0;
}

/* Whether it is reached is for user space to say. */
SEC("tp_btf/sched_wakeup")
int BPF_PROG(by_setting, struct task_struct *task)
{
	struct task_struct___none *none = (void *)task;

	if (wanted)
		sum += none->no_such_field;
	return 0;
}

/* The question is another than the one that matters. */
SEC("kprobe/vfs_read")
int BPF_KPROBE(by_another, struct file *file)
{
	struct no_such_type *none = (void *)file;

	if (bpf_core_field_exists(file->f_inode))
		sum += BPF_CORE_READ(none, field);
	return 0;
}

SEC("kprobe/vfs_write")
int BPF_KPROBE(fine, struct file *file)
{
	sum += BPF_CORE_READ(file, f_inode, i_ino);
	return 0;
}

SEC("?kprobe/vfs_open")
int BPF_KPROBE(optional, struct path *path)
{
	struct no_such_type *none = (void *)path;

	sum += BPF_CORE_READ(none, field);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
