// Relocations in functions that programs call: static and global, guarded where they are called or where they ask,
// given as callbacks, and shared by programs of which only one guards.
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>

struct task_struct___none {
	int no_such_field;
	long no_such_other;
} __attribute__((preserve_access_index));

__u64 sum;

static __noinline int read_missing(void *task)
{
	struct task_struct___none *none = task;
	int value = 0;

	bpf_core_read(&value, sizeof(value), &none->no_such_field);
	return value;
}

static __noinline long read_other(void *task)
{
	struct task_struct___none *none = task;
	long value = 0;

	if (bpf_core_field_exists(none->no_such_other))
		bpf_core_read(&value, sizeof(value), &none->no_such_other);
	return value;
}

__noinline int read_present(struct task_struct *task)
{
	return task ? BPF_CORE_READ(task, tgid) : 0;
}

SEC("kprobe/vfs_read")
int guards(struct pt_regs *ctx)
{
	void *task = (void *)bpf_get_current_task();
	struct task_struct___none *none = task;

	if (bpf_core_field_exists(none->no_such_field))
		sum += read_missing(task);
	sum += read_other(task);
	return 0;
}

SEC("kprobe/vfs_write")
int guards_not(struct pt_regs *ctx)
{
	sum += read_missing((void *)bpf_get_current_task());
	return 0;
}

SEC("tp_btf/sched_wakeup")
int BPF_PROG(calls_global, struct task_struct *task)
{
	sum += read_present(task);
	return 0;
}

static long each(u32 index, void *task)
{
	sum += read_other(task) + index;
	return 0;
}

SEC("kprobe/vfs_open")
int calls_back(struct pt_regs *ctx)
{
	bpf_loop(3, each, (void *)bpf_get_current_task(), 0);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
