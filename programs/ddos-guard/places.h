/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Where the headers of a packet are, as numbers.
 *
 * There are thousands of ways through tags and extension headers, and the
 * verifier would go on with each of them through all that comes after. Headers
 * that are found again by their places are the same to it, whatever was before.
 */
#ifndef __PLACES_H__
#define __PLACES_H__

#include "../include/packet.h"

#define ETHERNET_BYTES 14
#define MAX_IP_OFFSET  (ETHERNET_BYTES + MAX_VLAN_TAGS * 4)
/* Behind as many extension headers as are read, of 2 KiB at most each. */
#define MAX_TRANSPORT_OFFSET                                                   \
	(MAX_IP_OFFSET + sizeof(struct ipv6hdr) + MAX_EXTENSIONS * 2048)

struct places {
	__u32 ip_at;
	__u32 transport_at;
	bool is_ipv6;
	bool is_fragment;
};

static __always_inline struct places places_of(struct xdp_md *ctx,
					       const struct packet *packet)
{
	struct places places = {
		.ip_at = ETHERNET_BYTES + packet->vlan_tags * 4,
		.transport_at =
			distance((void *)(long)ctx->data, packet->transport),
		.is_ipv6 = packet->ipv6,
		.is_fragment =
			packet->more_fragments || packet->fragment_offset,
	};

	/* Or the compiler would see that nothing new is found. */
	asm volatile("" : "+r"(places.ip_at));
	return places;
}

/*
 * Finds them again; false, which cannot be, where there are none. To the
 * verifier a pointer may be zero whatever it points to: ask for both families.
 */
static __always_inline bool find_headers(struct xdp_md *ctx,
					 const struct places *places,
					 struct packet *packet)
{
	void *data = (void *)(long)ctx->data, *ip;
	__u32 ip_at = places->ip_at, transport_at = places->transport_at;

	/* Kept from the compiler, which would put half of it aside. */
	asm volatile("" : "+r"(data));
	if (ip_at > MAX_IP_OFFSET || transport_at > MAX_TRANSPORT_OFFSET)
		return false;
	packet->end = (void *)(long)ctx->data_end;
	packet->transport = data + transport_at;
	ip = data + ip_at;
	packet->ipv4 = NULL;
	packet->ipv6 = NULL;
	if (places->is_ipv6) {
		packet->ipv6 = ip;
		return ip + sizeof(struct ipv6hdr) <= packet->end;
	}
	packet->ipv4 = ip;
	return ip + sizeof(struct iphdr) <= packet->end;
}

/* The transport header follows an IP header without options, and is whole. */
static __always_inline bool is_plain(const struct places *places)
{
	return !places->is_fragment &&
	       places->transport_at - places->ip_at ==
		       (places->is_ipv6 ? sizeof(struct ipv6hdr)
					: sizeof(struct iphdr));
}

#endif
