// relocates: task_struct.__state, task_struct.state, request.rq_disk, request.q, request_queue.disk, tcp_sock.nonagle, sk_buff.pkt_type, kernfs_iattrs.ia_secdata, sock.sk_rcvbuf, task_struct.sched_remote_wakeup
// absent: cgroup_subsys_id.no_such_cgrp_id, task_struct.state, request.rq_disk, kernfs_iattrs.ia_secdata
// enumerates: cgroup_subsys_id.memory_cgrp_id, bpf_func_id.BPF_FUNC_probe_read, cgroup_subsys_id.no_such_cgrp_id
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>

/* Other kernels' shapes of types that this one has in another shape. */
struct task_struct___old {
	long state;
} __attribute__((preserve_access_index));

struct request___old {
	struct gendisk *rq_disk;
} __attribute__((preserve_access_index));

struct kernfs_iattrs___old {
	u32 ia_secdata_len;
	void *ia_secdata;
} __attribute__((preserve_access_index));

enum cgroup_subsys_id___other {
	no_such_cgrp_id___other = 77,
};

extern int LINUX_KERNEL_VERSION __kconfig;
extern bool CONFIG_CGROUPS __kconfig __weak;

__u64 size, value;

static __always_inline long state_of(struct task_struct *task)
{
	if (bpf_core_field_exists(task->__state))
		return BPF_CORE_READ(task, __state);
	return BPF_CORE_READ((struct task_struct___old *)task, state);
}

SEC("tp_btf/block_rq_complete")
int BPF_PROG(on_complete, struct request *rq, int error, unsigned int nr_bytes)
{
	struct request___old *old = (void *)rq;
	struct gendisk *disk;

	if (bpf_core_field_exists(old->rq_disk))
		disk = BPF_CORE_READ(old, rq_disk);
	else
		disk = BPF_CORE_READ(rq, q, disk);
	return disk != NULL;
}

SEC("kprobe/tcp_sendmsg")
int BPF_KPROBE(on_send, struct sock *sk)
{
	struct tcp_sock *tp = (struct tcp_sock *)sk;
	struct task_struct *task = (void *)bpf_get_current_task();
	struct sk_buff *skb = NULL;
	unsigned int nonagle = BPF_CORE_READ_BITFIELD_PROBED(tp, nonagle);

	if (bpf_core_type_exists(struct kernfs_iattrs___old) &&
	    bpf_core_field_exists(((struct kernfs_iattrs___old *)0)->ia_secdata))
		value = bpf_core_field_offset(((struct kernfs_iattrs___old *)0)->ia_secdata);
	if (bpf_core_enum_value_exists(enum cgroup_subsys_id, memory_cgrp_id))
		value = bpf_core_enum_value(enum cgroup_subsys_id, memory_cgrp_id);
	if (bpf_core_enum_value_exists(enum cgroup_subsys_id___other, no_such_cgrp_id___other))
		value = 1;
	size = bpf_core_type_size(struct task_struct) + bpf_core_field_size(sk->sk_rcvbuf);
	size += bpf_core_enum_value(enum bpf_func_id, BPF_FUNC_probe_read);
	if (LINUX_KERNEL_VERSION > 0x060000 && CONFIG_CGROUPS)
		size += state_of(task) + BPF_CORE_READ_BITFIELD_PROBED(task, sched_remote_wakeup);
	return nonagle + BPF_CORE_READ_BITFIELD_PROBED(skb, pkt_type);
}

char LICENSE[] SEC("license") = "GPL";
