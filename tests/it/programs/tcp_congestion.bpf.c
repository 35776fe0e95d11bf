// relocates: tcp_sock.snd_cwnd, tcp_sock.snd_ssthresh, tcp_sock.inet_conn.icsk_ca_state, tcp_sock.srtt_us
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>

#define min(a, b) ((a) < (b) ? (a) : (b))

extern void tcp_cong_avoid_ai(struct tcp_sock *tp, __u32 w, __u32 acked) __ksym;
extern __u32 tcp_slow_start(struct tcp_sock *tp, __u32 acked) __ksym;
extern __u32 tcp_reno_undo_cwnd(struct sock *sk) __ksym;

static __always_inline struct tcp_sock *tcp_sk(const struct sock *sk)
{
	return (struct tcp_sock *)sk;
}

SEC("struct_ops/plain_init")
void BPF_PROG(plain_init, struct sock *sk)
{
	struct tcp_sock *tp = tcp_sk(sk);

	if (tp->inet_conn.icsk_ca_state == 0)
		bpf_printk("srtt %u", tp->srtt_us);
}

SEC("struct_ops/plain_ssthresh")
__u32 BPF_PROG(plain_ssthresh, struct sock *sk)
{
	return min(tcp_sk(sk)->snd_cwnd >> 1U, 2U);
}

SEC("struct_ops/plain_cong_avoid")
void BPF_PROG(plain_cong_avoid, struct sock *sk, __u32 ack, __u32 acked)
{
	struct tcp_sock *tp = tcp_sk(sk);

	if (tp->snd_cwnd < tp->snd_ssthresh) {
		acked = tcp_slow_start(tp, acked);
		if (!acked)
			return;
	}
	tcp_cong_avoid_ai(tp, tp->snd_cwnd, acked);
}

SEC("struct_ops/plain_undo_cwnd")
__u32 BPF_PROG(plain_undo_cwnd, struct sock *sk)
{
	return tcp_reno_undo_cwnd(sk);
}

SEC(".struct_ops")
struct tcp_congestion_ops plain = {
	.init = (void *)plain_init,
	.ssthresh = (void *)plain_ssthresh,
	.cong_avoid = (void *)plain_cong_avoid,
	.undo_cwnd = (void *)plain_undo_cwnd,
	.name = "bpf_plain",
};

char LICENSE[] SEC("license") = "GPL";
