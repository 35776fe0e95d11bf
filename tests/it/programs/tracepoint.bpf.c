// relocates: trace_event_raw_sched_switch.prev_comm, trace_event_raw_sched_switch.next_pid, trace_event_raw_sys_enter.args[1], trace_event_raw_sys_exit.ret, trace_event_raw_sched_process_exec.__data_loc_filename
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>

char last[16];
char path[64];

SEC("tracepoint/sched/sched_switch")
int on_switch(struct trace_event_raw_sched_switch *ctx)
{
	bpf_probe_read_kernel_str(last, sizeof(last), ctx->prev_comm);
	return ctx->next_pid;
}

SEC("tracepoint/syscalls/sys_enter_openat")
int on_openat(struct trace_event_raw_sys_enter *ctx)
{
	bpf_probe_read_user_str(path, sizeof(path), (const char *)ctx->args[1]);
	return 0;
}

SEC("tracepoint/syscalls/sys_exit_openat")
int on_openat_exit(struct trace_event_raw_sys_exit *ctx)
{
	return ctx->ret < 0;
}

SEC("tp/sched/sched_process_exec")
int on_exec(struct trace_event_raw_sched_process_exec *ctx)
{
	unsigned int at = ctx->__data_loc_filename & 0xffff;

	bpf_probe_read_str(path, sizeof(path), (void *)ctx + at);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
