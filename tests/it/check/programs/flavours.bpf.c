// One program for kernels before and after a change: a field renamed, moved to another record, of another type; each
// shape is a flavour of the type, and a question decides which is used.
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>

struct task_struct___before_5_14 {
	long state;
} __attribute__((preserve_access_index));

struct task_struct___after_5_14 {
	unsigned int __state;
} __attribute__((preserve_access_index));

struct request_queue___disk {
	struct gendisk *disk;
} __attribute__((preserve_access_index));

struct request___rq_disk {
	struct gendisk *rq_disk;
	struct request_queue___disk *q;
} __attribute__((preserve_access_index));

struct bio___bi_disk {
	struct gendisk *bi_disk;
} __attribute__((preserve_access_index));

struct bio___bi_bdev {
	struct block_device *bi_bdev;
} __attribute__((preserve_access_index));

/* Names that end in underscores, and more than one flavour in a name. */
struct task_struct___one___two {
	int pid;
} __attribute__((preserve_access_index));

struct task_struct___ {
	int pid;
} __attribute__((preserve_access_index));

struct ___task_struct {
	int pid;
} __attribute__((preserve_access_index));

struct task_struct____four {
	int pid;
} __attribute__((preserve_access_index));

__u64 sum;

static __always_inline long state_of(void *task)
{
	struct task_struct___after_5_14 *after = task;
	struct task_struct___before_5_14 *before = task;

	if (bpf_core_field_exists(after->__state))
		return BPF_CORE_READ(after, __state);
	return BPF_CORE_READ(before, state);
}

SEC("tp_btf/sched_switch")
int BPF_PROG(renamed, bool preempt, struct task_struct *prev, struct task_struct *next)
{
	sum += state_of(prev) + state_of(next);
	return 0;
}

SEC("raw_tp/block_rq_complete")
int moved(struct bpf_raw_tracepoint_args *ctx)
{
	struct request___rq_disk *rq = (void *)ctx->args[0];
	struct gendisk *disk;

	if (bpf_core_field_exists(rq->rq_disk))
		disk = BPF_CORE_READ(rq, rq_disk);
	else if (bpf_core_field_exists(rq->q->disk))
		disk = BPF_CORE_READ(rq, q, disk);
	else
		return 0;
	return disk != NULL;
}

SEC("raw_tp/block_bio_queue")
int replaced(struct bpf_raw_tracepoint_args *ctx)
{
	struct bio___bi_disk *disk = (void *)ctx->args[0];
	struct bio___bi_bdev *bdev = (void *)ctx->args[0];

	if (bpf_core_field_exists(disk->bi_disk))
		return BPF_CORE_READ(disk, bi_disk) != NULL;
	return BPF_CORE_READ(bdev, bi_bdev) != NULL;
}

SEC("raw_tp/sched_wakeup")
int spelling(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct___one___two *two = (void *)ctx->args[0];
	struct task_struct___ *none = (void *)ctx->args[0];
	struct ___task_struct *before = (void *)ctx->args[0];
	struct task_struct____four *four = (void *)ctx->args[0];

	return bpf_core_field_exists(two->pid) + 2 * bpf_core_field_exists(none->pid) +
	       4 * bpf_core_field_exists(before->pid) + 8 * bpf_core_field_exists(four->pid);
}

char LICENSE[] SEC("license") = "GPL";
