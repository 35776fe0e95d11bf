// Symbols of the kernel: variables with a type and without, functions, each there and not, weak and not.
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>

/* Typed: BTF has a VAR for each per-CPU one. */
extern const struct rq runqueues __ksym;
extern const int bpf_prog_active __ksym __weak;
extern const struct rq no_such_queues __ksym __weak;
/* Of another type than the kernel's. */
extern const struct rq cpu_number __ksym __weak;
/* Untyped: looked up in kallsyms, of which BTF knows nothing. */
extern const void init_task __ksym __weak;
extern const void no_such_symbol __ksym __weak;

extern struct task_struct *bpf_task_acquire(struct task_struct *p) __ksym __weak;
extern void bpf_task_release(struct task_struct *p) __ksym __weak;
extern int bpf_no_such_kfunc(struct task_struct *p) __ksym __weak;

__u64 sum;

SEC("raw_tp/sys_enter")
int variables(void *ctx)
{
	struct rq *rq = (struct rq *)bpf_per_cpu_ptr(&runqueues, 0);

	if (rq)
		sum += rq->nr_running;
	if (&no_such_queues)
		sum++;
	if (&bpf_prog_active)
		sum++;
	if (&cpu_number)
		sum++;
	if (&init_task)
		sum++;
	if (&no_such_symbol)
		sum += 2;
	return 0;
}

SEC("tp_btf/task_newtask")
int BPF_PROG(functions, struct task_struct *task, u64 clone_flags)
{
	struct task_struct *acquired;

	if (bpf_no_such_kfunc)
		sum += bpf_no_such_kfunc(task);
	if (bpf_task_acquire && bpf_task_release) {
		acquired = bpf_task_acquire(task);
		if (acquired)
			bpf_task_release(acquired);
	}
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
