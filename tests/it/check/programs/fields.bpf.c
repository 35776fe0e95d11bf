// Every aspect of plain fields: offset, size, existence and sign, of scalars, pointers, records and enums, read by
// helper and straight from memory.
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>

__u64 sum;

SEC("tp_btf/sched_switch")
int BPF_PROG(aspects, bool preempt, struct task_struct *prev, struct task_struct *next)
{
	sum += bpf_core_field_offset(prev->pid);
	sum += bpf_core_field_offset(struct task_struct, se.vruntime);
	sum += bpf_core_field_size(prev->comm);
	sum += bpf_core_field_size(prev->se);
	sum += bpf_core_field_size(prev->mm);
	sum += bpf_core_field_exists(prev->tgid);
	sum += bpf_core_field_exists(struct task_struct, se.avg.util_avg);
	sum += __builtin_preserve_field_info(prev->prio, BPF_FIELD_SIGNED);
	sum += __builtin_preserve_field_info(prev->flags, BPF_FIELD_SIGNED);
	sum += __builtin_preserve_field_info(prev->start_time, BPF_FIELD_SIGNED);
	sum += __builtin_preserve_field_info(prev->policy, BPF_FIELD_SIGNED);
	sum += __builtin_preserve_field_info(prev->prio, BPF_FIELD_LSHIFT_U64);
	sum += __builtin_preserve_field_info(prev->prio, BPF_FIELD_RSHIFT_U64);
	return 0;
}

/* Loads of each width, where BTF gives the pointer its type and no helper is needed. */
SEC("tp_btf/sched_wakeup")
int BPF_PROG(loads, struct task_struct *task)
{
	sum += task->pid + task->flags + task->prio;
	sum += task->start_time + task->se.vruntime;
	sum += task->mm->pgd != NULL;
	sum += task->mm->map_count;
	sum += task->comm[3];
	sum += task->signal->nr_threads;
	sum += task->in_execve;
	return 0;
}

SEC("kprobe/do_unlinkat")
int BPF_KPROBE(chains, int dfd, struct filename *name)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	char text[16];

	sum += BPF_CORE_READ(task, real_parent, group_leader, tgid);
	sum += BPF_CORE_READ(task, mm, exe_file, f_inode, i_ino);
	sum += BPF_CORE_READ(task, nsproxy, uts_ns, name.nodename[5]);
	BPF_CORE_READ_INTO(&text, task, comm);
	BPF_CORE_READ_STR_INTO(&text, name, name);
	return text[0];
}

char LICENSE[] SEC("license") = "GPL";
