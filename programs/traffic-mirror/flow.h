/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What of a packet is looked at. All that depends on where headers lie is read
 * here, in a function of its own: whoever goes on has plain values.
 */
#ifndef __FLOW_H__
#define __FLOW_H__

#include "../include/packet.h"

/* One end of a flow. */
struct end {
	/* IPv4 as ::ffff:0:0/96. */
	struct in6_addr address;
	__u16 port;
	__u16 reserved;
};

/* Where a packet goes, or the one that an ICMP error is about. */
struct aim {
	struct in6_addr address;
	__be16 port;
	/* 0 where nobody needs to know. */
	__u8 protocol;
	__u8 reserved;
};

struct flow {
	struct end source;
	struct end destination;
	struct aim aim;
	__u16 vlan;
	__u8 protocol;
	bool is_ipv4;
	/* Ports are there, and read. */
	bool has_ports;
	bool is_fragment;
	__u16 reserved;
};

static __always_inline bool carries_ports(__u8 protocol)
{
	return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP ||
	       protocol == IPPROTO_SCTP || protocol == IPPROTO_DCCP ||
	       protocol == IPPROTO_UDPLITE;
}

static __always_inline void read_ports(const struct packet *packet,
				       struct flow *flow)
{
	/* All of these protocols begin with the two ports. */
	const struct udphdr *ports = packet->transport;

	if (!carries_ports(packet->protocol) || packet->fragment_offset ||
	    (void *)(&ports->dest + 1) > packet->end)
		return;
	flow->source.port = bpf_ntohs(ports->source);
	flow->destination.port = bpf_ntohs(ports->dest);
	flow->has_ports = true;
}

static __always_inline bool is_ipv4_error(__u8 type)
{
	return type == ICMP_DEST_UNREACH || type == ICMP_TIME_EXCEEDED ||
	       type == ICMP_PARAMETERPROB;
}

/* What an ICMP error is about, as far as it could be a copy: without options.
 */
static __always_inline void read_quoted(const struct packet *packet,
					struct aim *aim)
{
	const struct icmphdr *icmp = packet->transport;
	const void *end = packet->end;

	if (packet->fragment_offset || (void *)(icmp + 1) > end)
		return;
	if (packet->protocol == IPPROTO_ICMP && is_ipv4_error(icmp->type)) {
		const struct iphdr *ip = (void *)(icmp + 1);
		const struct udphdr *udp = (void *)(ip + 1);

		if ((void *)(udp + 1) > end)
			return;
		map_ipv4(ip->daddr, &aim->address);
		aim->protocol = ip->protocol;
		aim->port = udp->dest;
	}
	/* Errors are those below 128 (RFC 4443, section 2.1). */
	if (packet->protocol == IPPROTO_ICMPV6 && icmp->type < 128) {
		const struct ipv6hdr *ip = (void *)(icmp + 1);
		const struct udphdr *udp = (void *)(ip + 1);

		if ((void *)(udp + 1) > end)
			return;
		aim->address = ip->daddr;
		aim->protocol = ip->nexthdr;
		aim->port = udp->dest;
	}
}

/* Whether the packet is IP; then the flow is read. */
__noinline int read_flow(struct __sk_buff *ctx, struct flow *flow)
{
	struct packet packet = {};

	if (!flow || read_skb(ctx, &packet) != PACKET_IP)
		return false;
	read_addresses(&packet, &flow->source.address,
		       &flow->destination.address);
	flow->is_ipv4 = packet.ipv4;
	flow->protocol = packet.protocol;
	flow->is_fragment = packet.fragment_offset || packet.more_fragments;
	flow->vlan = packet.vlan_tci & VLAN_ID;
	read_ports(&packet, flow);
	if (packet.protocol == IPPROTO_ICMP ||
	    packet.protocol == IPPROTO_ICMPV6) {
		read_quoted(&packet, &flow->aim);
	} else {
		flow->aim.address = flow->destination.address;
		flow->aim.port = bpf_htons(flow->destination.port);
		flow->aim.protocol = packet.protocol;
	}
	return true;
}

#endif
