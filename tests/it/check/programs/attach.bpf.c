// What programs hang on: functions, tracepoints, iterators and LSM hooks that kernels have, and, in optional
// programs, some that none has.
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>

__u64 sum;

SEC("fentry/do_unlinkat")
int BPF_PROG(entry, int dfd, struct filename *name)
{
	sum += name->refcnt.counter;
	return 0;
}

SEC("fexit/do_unlinkat")
int BPF_PROG(left, int dfd, struct filename *name, long ret)
{
	sum += ret;
	return 0;
}

SEC("?fentry/no_such_function")
int BPF_PROG(entry_of_none)
{
	return 0;
}

SEC("?fexit/no_such_function")
int BPF_PROG(exit_of_none)
{
	return 0;
}

/* A type of that name, not a function. */
SEC("?fentry/task_struct")
int BPF_PROG(entry_of_a_type)
{
	return 0;
}

SEC("fmod_ret/security_file_open")
int BPF_PROG(modify, struct file *file)
{
	return 0;
}

SEC("?fmod_ret/no_such_function")
int BPF_PROG(modify_none)
{
	return 0;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(tracepoint, struct task_struct *task, pid_t old, struct linux_binprm *binprm)
{
	sum += binprm->argc;
	return 0;
}

SEC("?tp_btf/no_such_tracepoint")
int BPF_PROG(tracepoint_of_none)
{
	return 0;
}

SEC("iter/task")
int iterate(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;

	if (task)
		sum += task->tgid;
	return 0;
}

SEC("?iter/no_such_thing")
int iterate_none(void *ctx)
{
	return 0;
}

SEC("lsm/file_open")
int BPF_PROG(hook, struct file *file)
{
	return file->f_flags == 0xffffffff ? -1 : 0;
}

SEC("lsm.s/bprm_committed_creds")
void BPF_PROG(sleepable_hook, struct linux_binprm *binprm)
{
	sum += binprm->argc;
}

SEC("?lsm/no_such_hook")
int BPF_PROG(hook_of_none)
{
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
