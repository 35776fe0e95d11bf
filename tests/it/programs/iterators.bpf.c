// relocates: task_struct.pid, task_struct.mm, vm_area_struct.vm_start, vm_area_struct.vm_end
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

extern int bpf_iter_num_new(struct bpf_iter_num *it, int start, int end) __ksym;
extern int *bpf_iter_num_next(struct bpf_iter_num *it) __ksym;
extern void bpf_iter_num_destroy(struct bpf_iter_num *it) __ksym;
extern int bpf_iter_task_new(struct bpf_iter_task *it, struct task_struct *task, unsigned int flags) __weak __ksym;
extern struct task_struct *bpf_iter_task_next(struct bpf_iter_task *it) __weak __ksym;
extern void bpf_iter_task_destroy(struct bpf_iter_task *it) __weak __ksym;
extern int bpf_iter_task_vma_new(struct bpf_iter_task_vma *it, struct task_struct *task, __u64 addr) __ksym;
extern struct vm_area_struct *bpf_iter_task_vma_next(struct bpf_iter_task_vma *it) __ksym;
extern void bpf_iter_task_vma_destroy(struct bpf_iter_task_vma *it) __ksym;

#define bpf_for_each(type, cur, args...)                                                                    \
	for (struct bpf_iter_##type it __attribute__((aligned(8), cleanup(bpf_iter_##type##_destroy))),     \
	     *p __attribute__((unused)) =                                                                   \
		     (bpf_iter_##type##_new(&it, ##args), (void)bpf_iter_##type##_destroy, (void *)0);      \
	     (((cur) = bpf_iter_##type##_next(&it)));)

__u64 mapped, users, sum;

SEC("lsm.s/file_open")
int BPF_PROG(walk, struct file *file)
{
	struct task_struct *current = (struct task_struct *)bpf_get_current_task_btf(), *task;
	struct vm_area_struct *vma;
	int *i;

	bpf_for_each(num, i, 0, 100)
		sum += *i;
	bpf_for_each(task, task, NULL, 0)
		if (task->pid && task->mm)
			users++;
	bpf_for_each(task_vma, vma, current, 0)
		mapped += vma->vm_end - vma->vm_start;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
