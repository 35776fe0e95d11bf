// Kernel functions that programs call: with the kernel's prototype, with flavours of its types, with another number
// or another kind of parameters, and one that no kernel has; the last in programs of their own.
#define bpf_cgroup_from_id bpf_cgroup_from_id___vmlinux
#define bpf_task_from_pid bpf_task_from_pid___vmlinux
#define bpf_rcu_read_lock bpf_rcu_read_lock___vmlinux
#include "vmlinux.h"
#undef bpf_cgroup_from_id
#undef bpf_task_from_pid
#undef bpf_rcu_read_lock
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>

struct task_struct___mine {
	int pid;
} __attribute__((preserve_access_index));

extern void bpf_rcu_read_unlock(void) __ksym;
extern void bpf_task_release(struct task_struct *p) __ksym;
/* Right but for the record's flavour. */
extern struct task_struct___mine *bpf_task_from_pid(s32 pid) __ksym;
/* One parameter too many. */
extern struct cgroup *bpf_cgroup_from_id(u64 id, int more) __ksym;
/* A pointer to nothing where the kernel returns nothing. */
extern void *bpf_rcu_read_lock(void) __ksym;
extern int bpf_of_no_kernel(int x) __ksym;

__u64 sum;

SEC("syscall")
int flavoured(void *ctx)
{
	struct task_struct___mine *task = bpf_task_from_pid(1);

	if (task) {
		sum += task->pid;
		bpf_task_release((struct task_struct *)task);
	}
	return 0;
}

SEC("?syscall")
int too_many(void *ctx)
{
	return bpf_cgroup_from_id(1, 2) != NULL;
}

SEC("?syscall")
int wrong_result(void *ctx)
{
	void *lock = bpf_rcu_read_lock();

	bpf_rcu_read_unlock();
	return lock != NULL;
}

SEC("?syscall")
int missing(void *ctx)
{
	return bpf_of_no_kernel(1);
}

char LICENSE[] SEC("license") = "GPL";
