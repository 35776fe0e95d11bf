// relocates: task_struct.flags
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

struct slot {
	struct bpf_wq wq;
	struct bpf_task_work work;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, int);
	__type(value, struct slot);
} slots SEC(".maps");

extern int bpf_wq_init(struct bpf_wq *wq, void *p__map, unsigned int flags) __weak __ksym;
extern int bpf_wq_start(struct bpf_wq *wq, unsigned int flags) __weak __ksym;
extern int bpf_wq_set_callback_impl(struct bpf_wq *wq, int (callback_fn)(void *map, int *key, void *value),
				    unsigned int flags, void *aux__ign) __ksym;
extern int bpf_task_work_schedule_signal_impl(struct task_struct *task, struct bpf_task_work *tw, void *map__map,
					      bpf_task_work_callback_t callback, void *aux__prog) __ksym;

static int later(void *map, int *key, void *value)
{
	return 0;
}

static int in_task(struct bpf_map *map, void *key, void *value)
{
	return 0;
}

SEC("tp_btf/task_newtask")
int BPF_PROG(on_new, struct task_struct *task, u64 clone_flags)
{
	int key = 0;
	struct slot *slot = bpf_map_lookup_elem(&slots, &key);

	if (!slot || task->flags & 0x00200000)
		return 0;
	bpf_wq_init(&slot->wq, &slots, 0);
	bpf_wq_set_callback_impl(&slot->wq, later, 0, NULL);
	bpf_wq_start(&slot->wq, 0);
	bpf_task_work_schedule_signal_impl(task, &slot->work, &slots, in_task, NULL);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
