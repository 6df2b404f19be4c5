/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Finding the transport header of a packet. Every step is checked against the
 * end of the packet, and every loop is bounded.
 */
#ifndef L3AF_PARSE_H
#define L3AF_PARSE_H

#include "vmlinux.h"

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

/* 802.1ad carries one tag inside another. */
#define MAX_VLAN_TAGS 2
/* Hop-by-hop, destination, routing, fragment, destination (RFC 8200, 4.1). */
#define MAX_EXTENSION_HEADERS 5

/* What was found of a packet; pointers are 0 where there is no such header. */
struct packet {
	void *end;
	struct iphdr *ip4;
	struct ipv6hdr *ip6;
	/* Where the transport header begins; 0 when it is in another fragment. */
	void *transport;
	/* The transport protocol, IPPROTO_*. */
	__u8 protocol;
	/* Whether more fragments follow this one, which has the header. */
	bool fragmented;
};

static __always_inline void *skip_vlan_tags(struct ethhdr *eth, void *end,
					    __be16 *protocol)
{
	void *next = eth + 1;

	*protocol = eth->h_proto;
	for (int i = 0; i < MAX_VLAN_TAGS; i++) {
		struct vlan_hdr *tag = next;

		if (*protocol != bpf_htons(ETH_P_8021Q) &&
		    *protocol != bpf_htons(ETH_P_8021AD))
			break;
		if ((void *)(tag + 1) > end)
			return 0;
		*protocol = tag->h_vlan_encapsulated_proto;
		next = tag + 1;
	}
	return next;
}

static __always_inline int parse_ip4(struct packet *packet, void *at)
{
	struct iphdr *ip = at;
	__u32 length;

	if ((void *)(ip + 1) > packet->end)
		return -1;
	packet->ip4 = ip;
	packet->protocol = ip->protocol;
	length = (ip->version_ihl & 0xf) * 4;
	if (length < sizeof(*ip))
		return -1;
	/* Offset in the low 13 bits, "more fragments" in the next (RFC 791). */
	packet->fragmented = ip->frag_off & bpf_htons(0x2000);
	if (!(ip->frag_off & bpf_htons(0x1fff)))
		packet->transport = at + length;
	return 0;
}

static __always_inline int parse_ip6(struct packet *packet, void *at)
{
	struct ipv6hdr *ip = at;
	void *next = ip + 1;

	if (next > packet->end)
		return -1;
	packet->ip6 = ip;
	packet->protocol = ip->nexthdr;
	for (int i = 0; i < MAX_EXTENSION_HEADERS; i++) {
		struct ipv6_frag_hdr *fragment = next;
		struct ipv6_opt_hdr *option = next;

		if (packet->protocol == IPPROTO_FRAGMENT) {
			if ((void *)(fragment + 1) > packet->end)
				return -1;
			packet->protocol = fragment->nexthdr;
			packet->fragmented = fragment->frag_off & bpf_htons(1);
			if (fragment->frag_off & bpf_htons(0xfff8))
				return 0;
			next = fragment + 1;
		} else if (packet->protocol == IPPROTO_HOPOPTS ||
			   packet->protocol == IPPROTO_ROUTING ||
			   packet->protocol == IPPROTO_DSTOPTS) {
			if ((void *)(option + 1) > packet->end)
				return -1;
			packet->protocol = option->nexthdr;
			next += (option->hdrlen + 1) * 8;
		} else {
			break;
		}
	}
	packet->transport = next;
	return 0;
}

/*
 * Fills in what the packet holds. Returns 0 for an IP packet whose headers are
 * whole, 1 for a packet that is not IP, -1 for one that is cut off or
 * impossible.
 */
static __always_inline int parse(struct xdp_md *ctx, struct packet *packet)
{
	struct ethhdr *eth = (void *)(long)ctx->data;
	__be16 protocol;
	void *next;

	*packet = (struct packet){ .end = (void *)(long)ctx->data_end };
	if ((void *)(eth + 1) > packet->end)
		return 1;
	next = skip_vlan_tags(eth, packet->end, &protocol);
	if (!next)
		return 1;
	if (protocol == bpf_htons(ETH_P_IP))
		return parse_ip4(packet, next);
	if (protocol == bpf_htons(ETH_P_IPV6))
		return parse_ip6(packet, next);
	return 1;
}

#endif /* L3AF_PARSE_H */
