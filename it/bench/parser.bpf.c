// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What the programs of `programs/` are compared with: programs that do nothing,
 * and a parser written by hand for the headers that they read, down to the
 * ports: Ethernet, up to two VLAN tags, IPv4 with options or IPv6, TCP or UDP.
 */
#include "../../programs/include/vmlinux.h"
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

/* So that the compiler cannot leave out what is read. */
const volatile __u32 never = 0xffffffff;

static __always_inline __u32 ports(void *at, void *end)
{
	struct udphdr *transport = at;

	if ((void *)(transport + 1) > end)
		return 0;
	return (__u32)transport->source << 16 | transport->dest;
}

static __always_inline __u32 parse(void *data, void *end)
{
	struct ethhdr *ethernet = data;
	void *at = ethernet + 1;
	struct iphdr *ipv4;
	struct ipv6hdr *ipv6;
	struct vlan_hdr *tag;
	__be16 protocol;

	if (at > end)
		return 0;
	protocol = ethernet->h_proto;
	for (int i = 0; i < 2; i++) {
		if (protocol != bpf_htons(ETH_P_8021Q) &&
		    protocol != bpf_htons(ETH_P_8021AD))
			break;
		tag = at;
		at = tag + 1;
		if (at > end)
			return 0;
		protocol = tag->h_vlan_encapsulated_proto;
	}
	if (protocol == bpf_htons(ETH_P_IP)) {
		ipv4 = at;
		if ((void *)(ipv4 + 1) > end || ipv4->ihl < 5)
			return 0;
		if (ipv4->protocol != IPPROTO_TCP &&
		    ipv4->protocol != IPPROTO_UDP)
			return 0;
		return ports(at + ipv4->ihl * 4, end) ^ ipv4->saddr ^
		       ipv4->daddr;
	}
	if (protocol == bpf_htons(ETH_P_IPV6)) {
		ipv6 = at;
		if ((void *)(ipv6 + 1) > end)
			return 0;
		if (ipv6->nexthdr != IPPROTO_TCP &&
		    ipv6->nexthdr != IPPROTO_UDP)
			return 0;
		return ports(ipv6 + 1, end) ^ ipv6->saddr.in6_u.u6_addr32[3] ^
		       ipv6->daddr.in6_u.u6_addr32[3];
	}
	return 0;
}

SEC("xdp")
int parse_xdp(struct xdp_md *ctx)
{
	if (parse((void *)(long)ctx->data, (void *)(long)ctx->data_end) ==
	    never)
		return XDP_DROP;
	return XDP_PASS;
}

SEC("tc")
int parse_tc(struct __sk_buff *ctx)
{
	if (parse((void *)(long)ctx->data, (void *)(long)ctx->data_end) ==
	    never)
		return TC_ACT_SHOT;
	return TC_ACT_UNSPEC;
}

SEC("xdp")
int empty_xdp(struct xdp_md *ctx)
{
	return XDP_PASS;
}

SEC("tc")
int empty_tc(struct __sk_buff *ctx)
{
	return TC_ACT_UNSPEC;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
