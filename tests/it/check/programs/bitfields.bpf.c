// Bit fields, whose every aspect the loader computes: read from memory and by helper, signed and not, and some that
// kernels moved, widened or dropped.
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>

/* Bits where a kernel has whole bytes, and more bits than it has. */
struct iphdr___bits {
	u8 ttl : 5;
	u8 ihl : 2;
	s8 version : 3;
} __attribute__((preserve_access_index));

/* Bits of a type that kernels give another, and of a sign that they do not. */
struct sk_buff___signed {
	signed int pkt_type : 3;
	unsigned long long ip_summed : 2;
	unsigned int len : 20;
} __attribute__((preserve_access_index));

struct task_struct___bits {
	unsigned int in_iowait : 1;
	unsigned int no_such_bit : 1;
	unsigned int sched_reset_on_fork : 1;
} __attribute__((preserve_access_index));

__s64 sum;

SEC("tp_btf/sched_switch")
int BPF_PROG(from_memory, bool preempt, struct task_struct *prev, struct task_struct *next)
{
	struct task_struct___bits *bits = (void *)prev;

	sum += BPF_CORE_READ_BITFIELD(prev, in_iowait);
	sum += BPF_CORE_READ_BITFIELD(prev, sched_contributes_to_load);
	sum += BPF_CORE_READ_BITFIELD(bits, in_iowait);
	sum += BPF_CORE_READ_BITFIELD(bits, sched_reset_on_fork);
	if (bpf_core_field_exists(bits->no_such_bit))
		sum += BPF_CORE_READ_BITFIELD(bits, no_such_bit);
	return 0;
}

SEC("kprobe/tcp_sendmsg")
int BPF_KPROBE(by_helper, struct sock *sk)
{
	struct tcp_sock *tp = (void *)sk;
	struct sk_buff *skb = (void *)PT_REGS_PARM2(ctx);
	struct sk_buff___signed *other = (void *)skb;
	struct iphdr *ip = (void *)PT_REGS_PARM3(ctx);
	struct iphdr___bits *bits = (void *)ip;

	sum += BPF_CORE_READ_BITFIELD_PROBED(tp, nonagle);
	sum += BPF_CORE_READ_BITFIELD_PROBED(tp, repair);
	sum += BPF_CORE_READ_BITFIELD_PROBED(skb, pkt_type);
	sum += BPF_CORE_READ_BITFIELD_PROBED(skb, ip_summed);
	sum += BPF_CORE_READ_BITFIELD_PROBED(skb, encapsulation);
	sum += BPF_CORE_READ_BITFIELD_PROBED(other, pkt_type);
	sum += BPF_CORE_READ_BITFIELD_PROBED(other, ip_summed);
	sum += BPF_CORE_READ_BITFIELD_PROBED(other, len);
	sum += BPF_CORE_READ_BITFIELD_PROBED(ip, ihl);
	sum += BPF_CORE_READ_BITFIELD_PROBED(ip, version);
	sum += BPF_CORE_READ_BITFIELD_PROBED(bits, ttl);
	sum += BPF_CORE_READ_BITFIELD_PROBED(bits, ihl);
	sum += BPF_CORE_READ_BITFIELD_PROBED(bits, version);
	/* The same macros over what is no bit field. */
	sum += BPF_CORE_READ_BITFIELD_PROBED(skb, len);
	sum += BPF_CORE_READ_BITFIELD_PROBED(sk, sk_rcvbuf);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
