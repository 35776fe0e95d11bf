// relocates: task_struct.real_parent, task_struct.tgid, task_struct.exit_code, task_struct.start_time
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>

struct event {
	int pid, ppid, exit_code;
	__u64 age;
	char comm[16];
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 256 * 1024);
} ring SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
} perf SEC(".maps");

SEC("tp/sched/sched_process_exit")
int on_exit(struct trace_event_raw_sched_process_template *ctx)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct event *event = bpf_ringbuf_reserve(&ring, sizeof(*event), 0);

	if (!event)
		return 0;
	event->pid = bpf_get_current_pid_tgid() >> 32;
	event->ppid = BPF_CORE_READ(task, real_parent, tgid);
	event->exit_code = (BPF_CORE_READ(task, exit_code) >> 8) & 0xff;
	event->age = bpf_ktime_get_ns() - BPF_CORE_READ(task, start_time);
	bpf_get_current_comm(event->comm, sizeof(event->comm));
	bpf_perf_event_output(ctx, &perf, BPF_F_CURRENT_CPU, event, sizeof(*event));
	bpf_ringbuf_submit(event, 0);
	return 0;
}

SEC("perf_event")
int sample(struct bpf_perf_event_data *ctx)
{
	return ctx->sample_period > 1 && ctx->regs.ip;
}

char LICENSE[] SEC("license") = "GPL";
