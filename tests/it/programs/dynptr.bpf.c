// relocates:
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_endian.h>

extern int bpf_dynptr_from_skb(struct __sk_buff *skb, __u64 flags, struct bpf_dynptr *ptr__uninit) __ksym;
extern int bpf_dynptr_from_xdp(struct xdp_md *xdp, __u64 flags, struct bpf_dynptr *ptr__uninit) __ksym;
extern bool bpf_dynptr_is_null(const struct bpf_dynptr *ptr) __ksym;

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} ring SEC(".maps");

SEC("tc")
int from_skb(struct __sk_buff *skb)
{
	struct bpf_dynptr ptr, out;
	struct ethhdr eth;

	if (bpf_dynptr_from_skb(skb, 0, &ptr) || bpf_dynptr_is_null(&ptr))
		return 0;
	if (bpf_dynptr_read(&eth, sizeof(eth), &ptr, 0, 0))
		return 0;
	if (bpf_ringbuf_reserve_dynptr(&ring, sizeof(eth), 0, &out) == 0)
		bpf_dynptr_write(&out, 0, &eth, sizeof(eth), 0);
	bpf_ringbuf_submit_dynptr(&out, 0);
	return bpf_ntohs(eth.h_proto);
}

SEC("xdp")
int from_xdp(struct xdp_md *xdp)
{
	struct bpf_dynptr ptr;

	return bpf_dynptr_from_xdp(xdp, 0, &ptr) ? XDP_ABORTED : XDP_PASS;
}

char LICENSE[] SEC("license") = "GPL";
