/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What no honest host sends: headers, fragments, flags, ports and addresses
 * that contradict the protocols. Each check is a parameter of the program that
 * includes this, which declares them before:
 *
 *	const volatile bool check_header = true;
 *	const volatile bool check_fragments = true;
 *	const volatile bool check_flags = true;
 *	const volatile bool check_ports = true;
 *	const volatile bool check_land = true;
 */
#ifndef __FLAWS_H__
#define __FLAWS_H__

#include "packet.h"

enum flaw {
	FLAW_NONE,
	/* Lengths that contradict each other, or headers that are cut. */
	FLAW_HEADER,
	/* A fragment that hides the transport header. */
	FLAW_FRAGMENT,
	/* Flags of TCP that no host sets together. */
	FLAW_FLAGS,
	/* Port 0. */
	FLAW_PORT,
	/* From an address and port to themselves. */
	FLAW_LAND,
};

/*
 * A first fragment that ends within the transport header, or a second one that
 * would write over it, hides the header from filters (RFC 1858, RFC 3128).
 */
static __always_inline bool is_tiny_fragment(const struct packet *packet)
{
	bool tcp = packet->protocol == IPPROTO_TCP;
	__u32 header_bytes =
		tcp ? sizeof(struct tcphdr) : sizeof(struct udphdr);

	if (packet->fragment_offset)
		return tcp && packet->fragment_offset == 1;
	return packet->more_fragments && packet->transport_bytes < header_bytes;
}

/*
 * After the first SYN each segment carries ACK or RST (RFC 9293, section
 * 3.10.7), so flags with none of the three come from port scanners (none at
 * all, FIN alone, FIN+PSH+URG). A SYN neither ends nor resets a connection.
 */
static __always_inline bool has_impossible_flags(const struct tcphdr *tcp)
{
	if (tcp->syn)
		return tcp->fin || tcp->rst;
	return !tcp->ack && !tcp->rst;
}

/* The header ends within the packet; padding of the frame does not count. */
static __always_inline bool holds(const struct packet *packet, __u32 bytes)
{
	return bytes <= packet->transport_bytes &&
	       packet->transport + bytes <= packet->end;
}

/* Source and destination are one address. */
static __always_inline bool is_to_itself(const struct packet *packet)
{
	const struct ipv6hdr *ip = packet->ipv6;
	__u32 difference = 0;

	if (packet->ipv4)
		return packet->ipv4->saddr == packet->ipv4->daddr;
	if (!ip)
		return false;
	for (int i = 0; i < 4; i++)
		difference |= ip->saddr.in6_u.u6_addr32[i] ^
			      ip->daddr.in6_u.u6_addr32[i];
	return !difference;
}

static __always_inline enum flaw flaw_of_tcp(const struct packet *packet)
{
	const struct tcphdr *tcp = packet->transport;

	if (!holds(packet, sizeof(*tcp)))
		return check_header && !packet->more_fragments ? FLAW_HEADER
							       : FLAW_NONE;
	if (check_header && tcp->doff * 4 < sizeof(*tcp))
		return FLAW_HEADER;
	if (check_flags && has_impossible_flags(tcp))
		return FLAW_FLAGS;
	if (check_ports && (!tcp->source || !tcp->dest))
		return FLAW_PORT;
	if (check_land && tcp->source == tcp->dest && is_to_itself(packet))
		return FLAW_LAND;
	return FLAW_NONE;
}

static __always_inline enum flaw flaw_of_udp(const struct packet *packet)
{
	const struct udphdr *udp = packet->transport;

	if (!holds(packet, sizeof(*udp)))
		return check_header && !packet->more_fragments ? FLAW_HEADER
							       : FLAW_NONE;
	/* Length 0 stands for a jumbogram (RFC 2675, section 4). */
	if (check_header && udp->len && bpf_ntohs(udp->len) < sizeof(*udp))
		return FLAW_HEADER;
	/* Source port 0 says that no answer is wanted (RFC 768). */
	if (check_ports && !udp->dest)
		return FLAW_PORT;
	if (check_land && udp->source == udp->dest && is_to_itself(packet))
		return FLAW_LAND;
	return FLAW_NONE;
}

/* What is wrong with a packet whose IP headers are in order. */
static __always_inline enum flaw flaw_of(const struct packet *packet)
{
	bool tcp = packet->protocol == IPPROTO_TCP;

	if (!tcp && packet->protocol != IPPROTO_UDP)
		return FLAW_NONE;
	if (check_fragments && is_tiny_fragment(packet))
		return FLAW_FRAGMENT;
	if (packet->fragment_offset)
		return FLAW_NONE;
	return tcp ? flaw_of_tcp(packet) : flaw_of_udp(packet);
}

#endif
