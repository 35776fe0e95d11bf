// relocates:
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>

#define ETH_P_IP 0x0800

extern int bpf_xdp_metadata_rx_hash(const struct xdp_md *ctx, __u32 *hash, enum xdp_rss_hash_type *rss_type) __ksym;

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, __be32);
	__type(value, __u64);
} seen SEC(".maps");

SEC("xdp")
int count(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;
	struct iphdr *ip = (void *)(eth + 1);
	struct tcphdr *tcp = (void *)(ip + 1);
	enum xdp_rss_hash_type type = XDP_RSS_TYPE_NONE;
	__u64 one = 1, *n;
	__u32 hash = 0;

	if ((void *)(tcp + 1) > end || eth->h_proto != bpf_htons(ETH_P_IP) || ip->protocol != IPPROTO_TCP)
		return XDP_PASS;
	bpf_xdp_metadata_rx_hash(ctx, &hash, &type);
	n = bpf_map_lookup_elem(&seen, &ip->saddr);
	if (n)
		__sync_fetch_and_add(n, 1);
	else
		bpf_map_update_elem(&seen, &ip->saddr, &one, BPF_NOEXIST);
	return tcp->syn && !tcp->ack && type == XDP_RSS_TYPE_NONE ? XDP_DROP : XDP_PASS;
}

char LICENSE[] SEC("license") = "GPL";
