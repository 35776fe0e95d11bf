// Operations that programs implement: of a type that kernels have, with a member that only this program knows and
// that is left empty; and, not loaded unless asked for, of a type that no kernel has.
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>

struct tcp_congestion_ops___mine {
	u32 (*ssthresh)(struct sock *sk);
	void (*cong_avoid)(struct sock *sk, u32 ack, u32 acked);
	u32 (*undo_cwnd)(struct sock *sk);
	void (*no_such_operation)(struct sock *sk);
	char name[16];
};

struct no_such_ops {
	int (*start)(void);
};

SEC("struct_ops/mine_ssthresh")
u32 BPF_PROG(mine_ssthresh, struct sock *sk)
{
	return ((struct tcp_sock *)sk)->snd_ssthresh;
}

SEC("struct_ops/mine_undo_cwnd")
u32 BPF_PROG(mine_undo_cwnd, struct sock *sk)
{
	return ((struct tcp_sock *)sk)->prior_cwnd;
}

SEC("struct_ops/mine_cong_avoid")
void BPF_PROG(mine_cong_avoid, struct sock *sk, u32 ack, u32 acked)
{
}

SEC("?struct_ops/none_start")
int BPF_PROG(none_start)
{
	return 0;
}

SEC(".struct_ops")
struct tcp_congestion_ops___mine mine = {
	.ssthresh = (void *)mine_ssthresh,
	.cong_avoid = (void *)mine_cong_avoid,
	.undo_cwnd = (void *)mine_undo_cwnd,
	.name = "mine",
};

SEC("?.struct_ops")
struct no_such_ops none = {
	.start = (void *)none_start,
};

char LICENSE[] SEC("license") = "GPL";
