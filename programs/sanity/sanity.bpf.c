// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Drops packets that no honest host sends, before anything spends time on them.
 *
 * Each check can be switched off. What is not IPv4 or IPv6 passes, and so does
 * all that no check objects to.
 */
#include "../include/packet.h"

const volatile bool check_header = true;
const volatile bool check_fragments = true;
const volatile bool check_flags = true;
const volatile bool check_ports = true;
const volatile bool check_land = true;

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

static __always_inline bool is_bad_tcp(const struct packet *packet)
{
	const struct tcphdr *tcp = packet->transport;

	if (!holds(packet, sizeof(*tcp)))
		return check_header && !packet->more_fragments;
	if (check_header && tcp->doff * 4 < sizeof(*tcp))
		return true;
	if (check_flags && has_impossible_flags(tcp))
		return true;
	if (check_ports && (!tcp->source || !tcp->dest))
		return true;
	return check_land && tcp->source == tcp->dest && is_to_itself(packet);
}

static __always_inline bool is_bad_udp(const struct packet *packet)
{
	const struct udphdr *udp = packet->transport;

	if (!holds(packet, sizeof(*udp)))
		return check_header && !packet->more_fragments;
	/* Length 0 stands for a jumbogram (RFC 2675, section 4). */
	if (check_header && udp->len && bpf_ntohs(udp->len) < sizeof(*udp))
		return true;
	/* Source port 0 says that no answer is wanted (RFC 768). */
	if (check_ports && !udp->dest)
		return true;
	return check_land && udp->source == udp->dest && is_to_itself(packet);
}

static __always_inline bool is_bad(const struct packet *packet)
{
	bool tcp = packet->protocol == IPPROTO_TCP;

	if (!tcp && packet->protocol != IPPROTO_UDP)
		return false;
	if (check_fragments && is_tiny_fragment(packet))
		return true;
	if (packet->fragment_offset)
		return false;
	return tcp ? is_bad_tcp(packet) : is_bad_udp(packet);
}

SEC("xdp")
int sanity(struct xdp_md *ctx)
{
	struct packet packet = {};

	switch (read_packet(ctx, &packet)) {
	case PACKET_OTHER:
		return XDP_PASS;
	case PACKET_MALFORMED:
		return check_header ? XDP_DROP : XDP_PASS;
	case PACKET_IP:
		return is_bad(&packet) ? XDP_DROP : XDP_PASS;
	}
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
