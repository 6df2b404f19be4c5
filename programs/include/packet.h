/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Finds the transport header of an Ethernet frame: up to two VLAN tags, IPv4
 * with options, IPv6 with up to MAX_EXTENSIONS extension headers. The same for
 * XDP (`read_packet`) and TC (`read_skb`).
 *
 * Tunnels, MPLS and PPPoE are not opened: such a frame is PACKET_OTHER or has
 * the tunnel's protocol.
 */
#ifndef __PACKET_H__
#define __PACKET_H__

#include "vmlinux.h"
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define MAX_VLAN_TAGS 2
/* As many as RFC 8200, section 4.1, has in its recommended order before ESP. */
#define MAX_EXTENSIONS 6
/* What the length fields of IP can say. */
#define MAX_IP_BYTES 65535

enum packet_kind {
	/* Neither IPv4 nor IPv6. */
	PACKET_OTHER,
	/* IP whose headers contradict themselves or the frame. */
	PACKET_MALFORMED,
	/* IP. */
	PACKET_IP,
};

struct packet {
	void *end;
	/* How much of the packet lies behind that, in other pieces. */
	__u32 beyond_bytes;
	/* The EtherType behind the tags. */
	__be16 ethertype;
	/* How many tags there are, and what is in the outermost, in host order.
	 */
	__u16 vlan_tags;
	__u16 vlan_tci;
	/* One of the two is set. */
	struct iphdr *ipv4;
	struct ipv6hdr *ipv6;
	/* Not checked against `end`. Void when `fragment_offset` is not 0. */
	void *transport;
	/* What the IP header says is there; padding of the frame not counted.
	 */
	__u32 transport_bytes;
	/* In 8 bytes. */
	__u16 fragment_offset;
	bool more_fragments;
	__u8 protocol;
};

/* Kept from the compiler, which would compute with half of the pointers. */
static __always_inline __u64 distance(void *from, void *to)
{
	__u64 bytes = to - from;

	asm volatile("" : "+r"(bytes));
	return bytes;
}

/*
 * How much of the frame there is from here on. Lengths from the wire are held
 * against this and never added to a pointer: older verifiers (6.1 is one)
 * forget the bounds of a number when its bytes are swapped.
 */
static __always_inline __u64 rest_bytes(const struct packet *packet, void *at)
{
	return distance(at, packet->end) + packet->beyond_bytes;
}

static __always_inline enum packet_kind read_ipv4(void *at,
						  struct packet *packet)
{
	struct iphdr *ip = at;
	__u32 header_bytes, total_bytes;

	if ((void *)(ip + 1) > packet->end)
		return PACKET_MALFORMED;
	header_bytes = ip->ihl * 4;
	total_bytes = bpf_ntohs(ip->tot_len);
	/* Segments that the kernel sends as one may not fit the field. */
	if (!total_bytes) {
		if (packet->beyond_bytes <= MAX_IP_BYTES)
			return PACKET_MALFORMED;
		total_bytes = rest_bytes(packet, at);
	}
	if (ip->version != 4 || header_bytes < sizeof(*ip))
		return PACKET_MALFORMED;
	if (total_bytes < header_bytes || total_bytes > rest_bytes(packet, at))
		return PACKET_MALFORMED;
	packet->ipv4 = ip;
	packet->transport = at + header_bytes;
	packet->transport_bytes = total_bytes - header_bytes;
	packet->fragment_offset = bpf_ntohs(ip->frag_off) & IP_OFFSET;
	packet->more_fragments = bpf_ntohs(ip->frag_off) & IP_MF;
	packet->protocol = ip->protocol;
	return PACKET_IP;
}

/* How long an extension header is that starts with these bytes. */
static __always_inline __u32 extension_bytes(__u8 kind,
					     const struct ipv6_opt_hdr *header)
{
	switch (kind) {
	case IPPROTO_FRAGMENT:
		return sizeof(struct frag_hdr);
	case IPPROTO_AH:
		return (header->hdrlen + 2) * 4;
	default:
		return (header->hdrlen + 1) * 8;
	}
}

static __always_inline bool is_extension(__u8 kind)
{
	return kind == IPPROTO_HOPOPTS || kind == IPPROTO_ROUTING ||
	       kind == IPPROTO_FRAGMENT || kind == IPPROTO_AH ||
	       kind == IPPROTO_DSTOPTS;
}

/* Steps over the extension headers; false when they are cut or too many. */
static __always_inline bool skip_extensions(struct packet *packet)
{
	void *at = packet->transport;
	__u8 kind = packet->protocol;
	__u32 skipped = 0;

	for (int i = 0; i < MAX_EXTENSIONS && is_extension(kind); i++) {
		struct ipv6_opt_hdr *header = at;
		struct frag_hdr *fragment = at;
		__u32 bytes;

		/* No extension header is shorter than a fragment header. */
		if ((void *)(fragment + 1) > packet->end)
			return false;
		bytes = extension_bytes(kind, header);
		if (kind == IPPROTO_FRAGMENT) {
			__u16 offset = bpf_ntohs(fragment->frag_off);

			packet->fragment_offset = (offset & IP6_OFFSET) >> 3;
			packet->more_fragments = offset & IP6_MF;
		}
		kind = header->nexthdr;
		at += bytes;
		skipped += bytes;
		/* The rest of the chain is in the first fragment only. */
		if (packet->fragment_offset)
			break;
	}
	if (skipped > packet->transport_bytes)
		return false;
	packet->transport = at;
	packet->transport_bytes -= skipped;
	packet->protocol = kind;
	return packet->fragment_offset || !is_extension(kind);
}

static __always_inline enum packet_kind read_ipv6(void *at,
						  struct packet *packet)
{
	struct ipv6hdr *ip = at;
	__u32 bytes;

	if ((void *)(ip + 1) > packet->end || ip->version != 6)
		return PACKET_MALFORMED;
	bytes = bpf_ntohs(ip->payload_len);
	/*
	 * A jumbogram (RFC 2675) has its length in a hop-by-hop option, and
	 * segments that the kernel sends as one may do without.
	 */
	if (bytes == 0 && (ip->nexthdr == IPPROTO_HOPOPTS ||
			   packet->beyond_bytes > MAX_IP_BYTES))
		bytes = rest_bytes(packet, ip + 1);
	if (bytes > rest_bytes(packet, ip + 1))
		return PACKET_MALFORMED;
	packet->ipv6 = ip;
	packet->transport = ip + 1;
	packet->transport_bytes = bytes;
	packet->protocol = ip->nexthdr;
	return skip_extensions(packet) ? PACKET_IP : PACKET_MALFORMED;
}

static __always_inline bool is_vlan(__be16 protocol)
{
	return protocol == bpf_htons(ETH_P_8021Q) ||
	       protocol == bpf_htons(ETH_P_8021AD);
}

/* From the Ethernet header on; `tags` are beside the frame already. */
static __always_inline enum packet_kind read_frame(void *at, __u16 tags,
						   struct packet *packet)
{
	struct ethhdr *ethernet = at;
	__be16 protocol;

	at = ethernet + 1;
	if (at > packet->end)
		return PACKET_OTHER;
	protocol = ethernet->h_proto;
	packet->vlan_tags = tags;
	for (int i = tags; i < MAX_VLAN_TAGS && is_vlan(protocol); i++) {
		struct vlan_hdr *tag = at;

		if ((void *)(tag + 1) > packet->end)
			return PACKET_OTHER;
		if (!packet->vlan_tags++)
			packet->vlan_tci = bpf_ntohs(tag->h_vlan_TCI);
		protocol = tag->h_vlan_encapsulated_proto;
		at = tag + 1;
	}
	packet->ethertype = protocol;
	if (protocol == bpf_htons(ETH_P_IP))
		return read_ipv4(at, packet);
	if (protocol == bpf_htons(ETH_P_IPV6))
		return read_ipv6(at, packet);
	return PACKET_OTHER;
}

static __always_inline enum packet_kind read_packet(struct xdp_md *ctx,
						    struct packet *packet)
{
	packet->end = (void *)(long)ctx->data_end;
	return read_frame((void *)(long)ctx->data, 0, packet);
}

/* Headers that a program of TC looks at, in bytes, if there are so many. */
#define HEADER_BYTES 256

static __always_inline __u64 linear_bytes(const struct __sk_buff *ctx)
{
	return distance((void *)(long)ctx->data, (void *)(long)ctx->data_end);
}

/*
 * Gathers the headers first where they are spread over several pieces: that may
 * cost a copy. What the headers say is held against the whole packet.
 */
static __always_inline enum packet_kind read_skb(struct __sk_buff *ctx,
						 struct packet *packet)
{
	__u64 here = linear_bytes(ctx);
	__u16 tags = 0;

	if (here < ctx->len && here < HEADER_BYTES) {
		here = ctx->len < HEADER_BYTES ? ctx->len : HEADER_BYTES;
		bpf_skb_pull_data(ctx, here);
		here = linear_bytes(ctx);
	}
	packet->end = (void *)(long)ctx->data_end;
	packet->beyond_bytes = ctx->len - here;
	/* The kernel takes the outermost tag out of the frame. */
	if (ctx->vlan_present) {
		packet->vlan_tci = ctx->vlan_tci;
		tags = 1;
	}
	return read_frame((void *)(long)ctx->data, tags, packet);
}

/* Addresses of both families as one kind: those of IPv4 as ::ffff:0:0/96. */
static __always_inline void map_ipv4(__be32 from, struct in6_addr *to)
{
	to->in6_u.u6_addr32[0] = 0;
	to->in6_u.u6_addr32[1] = 0;
	to->in6_u.u6_addr32[2] = bpf_htonl(0xffff);
	to->in6_u.u6_addr32[3] = from;
}

static __always_inline void read_addresses(const struct packet *packet,
					   struct in6_addr *source,
					   struct in6_addr *destination)
{
	if (packet->ipv4) {
		map_ipv4(packet->ipv4->saddr, source);
		map_ipv4(packet->ipv4->daddr, destination);
	} else if (packet->ipv6) {
		*source = packet->ipv6->saddr;
		*destination = packet->ipv6->daddr;
	}
}

#endif
