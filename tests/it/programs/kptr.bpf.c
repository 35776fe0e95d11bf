// relocates: task_struct.pid
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#ifndef __kptr
#define __kptr __attribute__((btf_type_tag("kptr")))
#endif
#define __contains(name, node) __attribute__((btf_decl_tag("contains:" #name ":" #node)))
#define private(name) SEC(".data." #name) __hidden __attribute__((aligned(8)))

extern struct task_struct *bpf_task_acquire(struct task_struct *p) __ksym;
extern void bpf_task_release(struct task_struct *p) __ksym;
extern void bpf_rcu_read_lock(void) __ksym;
extern void bpf_rcu_read_unlock(void) __ksym;
extern void *bpf_obj_new_impl(__u64 local_type_id, void *meta) __ksym;
extern void bpf_obj_drop_impl(void *kptr, void *meta) __ksym;
extern int bpf_list_push_back_impl(struct bpf_list_head *head, struct bpf_list_node *node, void *meta,
				   __u64 off) __ksym;
extern int bpf_rbtree_add_impl(struct bpf_rb_root *root, struct bpf_rb_node *node,
			       bool (less)(struct bpf_rb_node *a, const struct bpf_rb_node *b), void *meta,
			       __u64 off) __ksym;

struct slot {
	struct task_struct __kptr *task;
};

struct item {
	struct bpf_list_node list;
	struct bpf_rb_node tree;
	long value;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, int);
	__type(value, struct slot);
} slots SEC(".maps");

private(A) struct bpf_spin_lock lock;
private(A) struct bpf_list_head head __contains(item, list);
private(A) struct bpf_rb_root root __contains(item, tree);

static bool less(struct bpf_rb_node *a, const struct bpf_rb_node *b)
{
	return (void *)a < (const void *)b;
}

SEC("tp_btf/task_newtask")
int BPF_PROG(on_new, struct task_struct *task, u64 clone_flags)
{
	struct task_struct *mine, *old;
	struct slot *slot;
	int key = 0;

	slot = bpf_map_lookup_elem(&slots, &key);
	if (!slot)
		return 0;
	bpf_rcu_read_lock();
	mine = bpf_task_acquire(task);
	bpf_rcu_read_unlock();
	if (!mine)
		return 0;
	old = bpf_kptr_xchg(&slot->task, mine);
	if (old)
		bpf_task_release(old);
	return task->pid;
}

SEC("fentry/bpf_fentry_test1")
int BPF_PROG(push, int a)
{
	struct item *one = bpf_obj_new_impl(__builtin_btf_type_id(*(struct item *)0, 0), NULL);
	struct item *two = bpf_obj_new_impl(__builtin_btf_type_id(*(struct item *)0, 0), NULL);

	if (!one || !two)
		return 0;
	bpf_spin_lock(&lock);
	bpf_list_push_back_impl(&head, &one->list, NULL, 0);
	bpf_rbtree_add_impl(&root, &two->tree, less, NULL, 0);
	bpf_spin_unlock(&lock);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
