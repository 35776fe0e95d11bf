// relocates: pt_regs.di, pt_regs.ax, task_struct.thread.fsbase
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>
#include <bpf/usdt.bpf.h>

unsigned long base;
char line[80];

SEC("uprobe//bin/bash:readline")
int BPF_KPROBE(readline, const char *prompt)
{
	struct task_struct *task = (void *)bpf_get_current_task();

	base = BPF_CORE_READ(task, thread.fsbase);
	bpf_probe_read_user_str(line, sizeof(line), prompt);
	return 0;
}

SEC("uretprobe//bin/bash:readline")
int BPF_KRETPROBE(readline_exit, const void *ret)
{
	bpf_probe_read_user_str(line, sizeof(line), ret);
	return 0;
}

SEC("usdt/libc.so.6:libc:setjmp")
int BPF_USDT(setjmp, void *env, int val, void *ip)
{
	bpf_printk("%lx %d %lx", (long)env, val, (long)ip);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
