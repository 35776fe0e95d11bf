// relocates: sk_buff.dev, net_device.ifindex, sk_buff.len
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>

#define TC_ACT_OK 0
#define TC_ACT_SHOT 2

extern void *bpf_cast_to_kern_ctx(void *) __ksym;

SEC("tc")
int ingress(struct __sk_buff *skb)
{
	struct sk_buff *kskb = bpf_cast_to_kern_ctx(skb);
	__u8 protocol = 0;

	if (bpf_skb_load_bytes(skb, sizeof(struct ethhdr) + offsetof(struct iphdr, protocol), &protocol, 1))
		return TC_ACT_OK;
	skb->mark = kskb->dev->ifindex;
	return protocol == IPPROTO_UDP && kskb->len > 1500 ? TC_ACT_SHOT : TC_ACT_OK;
}

SEC("tc")
int egress(struct __sk_buff *skb)
{
	struct bpf_tunnel_key key = {};

	key.tunnel_id = bpf_ntohs(skb->protocol);
	return bpf_skb_set_tunnel_key(skb, &key, sizeof(key), 0) ? TC_ACT_SHOT : TC_ACT_OK;
}

char LICENSE[] SEC("license") = "GPL";
