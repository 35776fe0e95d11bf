// What no kernel has, asked for only where a question was answered with yes: of a field, a type, an enumerator, by
// if, else, switch, early return, loop and ternary. All of it loads.
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>

struct task_struct___none {
	int no_such_field;
	u64 no_such_bits : 3;
	struct mm_struct *no_such_mm;
} __attribute__((preserve_access_index));

struct no_such_type {
	int field;
	int array[8];
} __attribute__((preserve_access_index));

enum bpf_map_type___none {
	BPF_MAP_TYPE_NO_SUCH___none = 50,
};

__u64 sum;

SEC("tp_btf/sched_switch")
int BPF_PROG(by_field, bool preempt, struct task_struct *prev, struct task_struct *next)
{
	struct task_struct___none *none = (void *)prev;

	if (bpf_core_field_exists(none->no_such_field))
		sum += none->no_such_field;
	if (!bpf_core_field_exists(none->no_such_mm)) {
		sum++;
	} else {
		sum += none->no_such_mm->map_count;
		sum += BPF_CORE_READ_BITFIELD(none, no_such_bits);
	}
	return 0;
}

SEC("tp_btf/sched_wakeup")
int BPF_PROG(by_type, struct task_struct *task)
{
	struct no_such_type *none = (void *)task;
	int i;

	if (!bpf_core_type_exists(struct no_such_type))
		return 0;
	sum += BPF_CORE_READ(none, field);
	for (i = 0; i < 8; i++)
		sum += BPF_CORE_READ(none, array[2]) + i;
	return 0;
}

SEC("kprobe/vfs_read")
int by_enumerator(void *ctx)
{
	u64 wanted = bpf_core_enum_value_exists(enum bpf_map_type___none, BPF_MAP_TYPE_NO_SUCH___none)
			     ? bpf_core_enum_value(enum bpf_map_type___none, BPF_MAP_TYPE_NO_SUCH___none)
			     : 7;

	sum += wanted;
	return 0;
}

SEC("kprobe/vfs_write")
int by_size(struct pt_regs *ctx)
{
	struct no_such_type *none = (void *)PT_REGS_PARM1(ctx);

	switch (bpf_core_type_size(struct no_such_type)) {
	case 0:
		return 0;
	case 36:
		sum += BPF_CORE_READ(none, field);
		break;
	default:
		sum += BPF_CORE_READ(none, array[7]);
	}
	return 0;
}

SEC("kprobe/vfs_open")
int by_both(struct pt_regs *ctx)
{
	struct task_struct___none *none = (void *)PT_REGS_PARM1(ctx);

	if (bpf_core_type_exists(struct no_such_type) && bpf_core_field_exists(none->no_such_field) && sum > 3)
		sum += BPF_CORE_READ(none, no_such_field);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
