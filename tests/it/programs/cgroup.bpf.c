// relocates: task_struct.cgroups, css_set.dfl_cgrp, cgroup.kn, kernfs_node.id
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>

#ifndef AF_INET
#define AF_INET 2
#endif

__u64 denied;

SEC("cgroup/connect4")
int connect4(struct bpf_sock_addr *ctx)
{
	if (ctx->user_family != AF_INET || ctx->user_ip4 == bpf_htonl(0x7f000001))
		return 1;
	ctx->user_port = bpf_htons(8080);
	return 1;
}

SEC("cgroup_skb/egress")
int egress(struct __sk_buff *skb)
{
	struct task_struct *task = (void *)bpf_get_current_task();

	denied = BPF_CORE_READ(task, cgroups, dfl_cgrp, kn, id);
	return skb->len < 9000;
}

SEC("cgroup/dev")
int device(struct bpf_cgroup_dev_ctx *ctx)
{
	return ctx->major == 1 && ctx->minor == 3;
}

SEC("cgroup/sysctl")
int sysctl(struct bpf_sysctl *ctx)
{
	return !ctx->write;
}

SEC("cgroup/getsockopt")
int getsockopt(struct bpf_sockopt *ctx)
{
	return ctx->level != 6 || ctx->retval == 0;
}

char LICENSE[] SEC("license") = "GPL";
