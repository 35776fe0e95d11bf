// Names that several types of one kernel have: some fields only one of them has, some all of them at one place, some
// at several, which no loader decides.
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>

/* x86_64 6.18: two, whose `stage` lies apart. */
struct walk_control___mine {
	int stage;
	int level;
	void *root;
} __attribute__((preserve_access_index));

/* One flavour for each question: an answer takes candidates away from those of the same type that follow. */
struct walk_control___level {
	int level;
} __attribute__((preserve_access_index));

struct dma_chan___id {
	const char *device_id;
	int chan_id;
} __attribute__((preserve_access_index));

struct console___list {
	struct list_head list;
	short index;
} __attribute__((preserve_access_index));

struct bpf_map_desc___both {
	void *ptr;
	u32 uid;
	u32 map_fd;
} __attribute__((preserve_access_index));

struct irq_info___irq {
	u32 irq;
	u8 bus;
} __attribute__((preserve_access_index));

struct workspace___any {
	void *mem;
	u32 buf_size;
} __attribute__((preserve_access_index));

struct workspace___list {
	struct list_head list;
} __attribute__((preserve_access_index));

struct syscall_tp_t___size {
	int x;
};

struct perf_aux_event___any {
	u64 x;
};

__u64 sum;

SEC("raw_tp/sys_enter")
int decided(struct bpf_raw_tracepoint_args *ctx)
{
	struct walk_control___level *level = (void *)ctx->args[0];
	struct dma_chan___id *chan = (void *)ctx->args[0];
	struct bpf_map_desc___both *desc = (void *)ctx->args[0];
	struct workspace___any *workspace = (void *)ctx->args[0];
	struct irq_info___irq *irq = (void *)ctx->args[0];

	sum += bpf_core_field_exists(level->level);
	sum += bpf_core_field_exists(chan->device_id);
	sum += bpf_core_field_exists(chan->chan_id);
	sum += bpf_core_field_exists(desc->ptr);
	sum += bpf_core_field_exists(desc->map_fd);
	sum += bpf_core_field_offset(workspace->mem) + bpf_core_field_exists(workspace->buf_size);
	sum += bpf_core_field_exists(irq->bus) + 2 * bpf_core_field_exists(irq->irq);
	sum += bpf_core_type_exists(struct syscall_tp_t___size);
	return 0;
}

SEC("?raw_tp/sys_enter")
int undecided(struct bpf_raw_tracepoint_args *ctx)
{
	struct walk_control___mine *walk = (void *)ctx->args[0];
	struct console___list *console = (void *)ctx->args[0];
	struct workspace___list *workspace = (void *)ctx->args[0];

	sum += bpf_core_field_offset(walk->stage);
	sum += bpf_core_field_exists(walk->root);
	sum += bpf_core_field_offset(walk->stage);
	sum += bpf_core_field_offset(console->list);
	sum += bpf_core_field_exists(console->index);
	sum += bpf_core_field_offset(workspace->list);
	sum += bpf_core_type_size(struct syscall_tp_t___size);
	sum += bpf_core_type_id_kernel(struct perf_aux_event___any);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
