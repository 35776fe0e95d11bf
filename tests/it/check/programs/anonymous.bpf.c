// Fields inside anonymous records and unions, at any depth: named by the program as if they were the outer record's,
// at another depth than the kernel's, and in a record where the kernel has a union.
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>

/* Flat where the kernel nests. */
struct sock_common___flat {
	__be32 skc_daddr;
	__be32 skc_rcv_saddr;
	__u16 skc_num;
} __attribute__((preserve_access_index));

/* Nested where the kernel is flat, and deeper than need be. */
struct task_struct___nested {
	struct {
		union {
			struct {
				int pid;
				int tgid;
			};
			u64 no_such_pair;
		};
	};
} __attribute__((preserve_access_index));

/* A union for a record: of another kind, so no candidate is found. */
union task_struct___kind {
	int pid;
} __attribute__((preserve_access_index));

__u64 sum;

SEC("kprobe/tcp_connect")
int BPF_KPROBE(nested, struct sock *sk)
{
	struct sock_common *common = &sk->__sk_common;
	struct sock_common___flat *flat = (void *)common;
	struct task_struct *task = (void *)bpf_get_current_task();
	struct task_struct___nested *nested = (void *)task;
	union task_struct___kind *kind = (void *)task;
	struct sk_buff *skb = (void *)sk;
	struct page *page = (void *)sk;

	sum += BPF_CORE_READ(sk, __sk_common.skc_daddr) + BPF_CORE_READ(sk, __sk_common.skc_dport);
	sum += BPF_CORE_READ(sk, __sk_common.skc_portpair) + BPF_CORE_READ(common, skc_hash);
	sum += BPF_CORE_READ(flat, skc_daddr) + BPF_CORE_READ(flat, skc_rcv_saddr) + BPF_CORE_READ(flat, skc_num);
	sum += BPF_CORE_READ(nested, pid) + BPF_CORE_READ(nested, tgid);
	sum += bpf_core_field_exists(nested->no_such_pair) + 2 * bpf_core_field_exists(kind->pid);
	sum += bpf_core_field_offset(skb->dev) + bpf_core_field_offset(skb->sk);
	sum += bpf_core_field_offset(skb->rbnode) + bpf_core_field_offset(skb->transport_header);
	sum += bpf_core_field_offset(page->mapping) + bpf_core_field_size(page->lru);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
