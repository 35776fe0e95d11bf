// relocates: tcp_sock.rcv_nxt
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_endian.h>

struct {
	__uint(type, BPF_MAP_TYPE_SOCKMAP);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u64);
} sockets SEC(".maps");

SEC("sk_lookup")
int steer(struct bpf_sk_lookup *ctx)
{
	__u32 key = ctx->local_port == 53;
	struct bpf_sock *sk = bpf_map_lookup_elem(&sockets, &key);
	long err;

	if (!sk || ctx->protocol != IPPROTO_UDP)
		return SK_PASS;
	err = bpf_sk_assign(ctx, sk, 0);
	bpf_sk_release(sk);
	return err ? SK_DROP : SK_PASS;
}

SEC("sockops")
int established(struct bpf_sock_ops *ctx)
{
	__u32 key = 0;

	switch (ctx->op) {
	case BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB:
	case BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB:
		if (bpf_ntohl(ctx->remote_port) == 443)
			bpf_sock_map_update(ctx, &sockets, &key, BPF_ANY);
	}
	return 0;
}

SEC("sk_msg")
int redirect(struct sk_msg_md *msg)
{
	return bpf_msg_redirect_map(msg, &sockets, 0, BPF_F_INGRESS);
}

SEC("fentry/tcp_rcv_established")
int BPF_PROG(received, struct sock *sk)
{
	struct tcp_sock *tp = bpf_skc_to_tcp_sock(sk);

	return tp && tp->rcv_nxt;
}

char LICENSE[] SEC("license") = "GPL";
