// Fields that are written: of the instructions that can be patched, those that store a register and those that
// store a constant.
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>

/* A record of this program and of no kernel, beside one that kernels have. */
struct of_this_program {
	u64 wide;
	u32 word;
	u16 half;
	u8 byte;
} __attribute__((preserve_access_index));

SEC("struct_ops/write")
void BPF_PROG(write_fields, struct sock *sk, u32 value)
{
	struct tcp_sock *tp = (struct tcp_sock *)sk;

	tp->snd_cwnd = value;
	tp->snd_ssthresh = 7;
	tp->snd_cwnd_stamp = value + 1;
}

SEC("?tc")
int write_missing(struct __sk_buff *skb)
{
	struct of_this_program *mine = (void *)(long)skb->data;

	if ((void *)(mine + 1) > (void *)(long)skb->data_end)
		return 0;
	mine->wide = skb->len;
	mine->word = 1;
	mine->half = skb->mark;
	mine->byte = 2;
	return 0;
}

SEC("tc")
int write_packet(struct __sk_buff *skb)
{
	struct iphdr *ip = (void *)(long)skb->data;

	if ((void *)(ip + 1) > (void *)(long)skb->data_end)
		return 0;
	ip->ttl = 3;
	ip->tot_len = skb->mark;
	ip->saddr = 0x01020304;
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
