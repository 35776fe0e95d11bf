// relocates: bpf_iter__task_file.file, bpf_iter__task_file.fd, file.f_op, bpf_iter__task_file.task
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>

extern const void bpf_map_fops __ksym;

int maps = 0;

SEC("iter/task_file")
int dump_files(struct bpf_iter__task_file *ctx)
{
	struct file *file = ctx->file;

	if (!ctx->task || !file)
		return 0;
	if ((const void *)file->f_op == &bpf_map_fops)
		maps++;
	return ctx->fd == 0xffffffff;
}

char LICENSE[] SEC("license") = "GPL";
