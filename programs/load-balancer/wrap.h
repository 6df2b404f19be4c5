/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Packs a packet into another one for a backend: IP in IP (RFC 2003, RFC 2473,
 * RFC 4213) or UDP in front of that (GUE, variant 1 of draft-ietf-intarea-gue,
 * which Linux takes as `encap gue` and as `fou`).
 */
#ifndef __WRAP_H__
#define __WRAP_H__

#include "maps.h"

#define GUE_PORT 6080
/* RFC 6335's dynamic ports: where a GUE packet comes from tells its flow. */
#define FIRST_DYNAMIC_PORT 49152
#define HOP_LIMIT	   64

/* What is kept of the packet: moving the head makes pointers void. */
struct wrap {
	/* The addresses of the frame, as it came. */
	__u8 to[ETH_ALEN];
	__u8 from[ETH_ALEN];
	/* Tags with their EtherType, the outermost first. */
	__be32 tags[MAX_VLAN_TAGS];
	__u32 tag_count;
	bool is_ipv6;
	bool is_outer_ipv6;
	/* Of the packet outside. */
	__u8 protocol;
	/* DSCP and ECN: those of the packet (RFC 6040, RFC 2983). */
	__u8 tos;
	__u32 inner_bytes;
	/* Of what comes in front of it. */
	__u32 outer_bytes;
	__u32 hash;
};

/* Where the packet outside goes. */
struct hop {
	__u8 to[ETH_ALEN];
	__u8 from[ETH_ALEN];
	__u32 tag_count;
	/* 0: back to where it came from. */
	__u32 interface;
	/* Where the packet is too big: what is not. */
	__u32 mtu;
};

static __always_inline bool is_ipv4_mapped(const struct in6_addr *address)
{
	return !address->in6_u.u6_addr32[0] && !address->in6_u.u6_addr32[1] &&
	       address->in6_u.u6_addr32[2] == bpf_htonl(0xffff);
}

static __always_inline void read_wrap(struct xdp_md *ctx,
				      const struct packet *packet,
				      const struct target *target, __u32 hash,
				      struct wrap *wrap)
{
	struct ethhdr *ethernet = (void *)(long)ctx->data;
	__be32 *tags = (void *)&ethernet->h_proto;
	bool is_gue = target->encapsulation == ENCAPSULATION_GUE;

	/* read_packet saw to it that all of that is there. */
	if ((void *)(tags + MAX_VLAN_TAGS) > packet->end)
		return;
	__builtin_memcpy(wrap->to, ethernet->h_dest, ETH_ALEN);
	__builtin_memcpy(wrap->from, ethernet->h_source, ETH_ALEN);
	wrap->tags[0] = tags[0];
	wrap->tags[1] = tags[1];
	wrap->tag_count = packet->vlan_tags;
	wrap->hash = hash;
	wrap->is_outer_ipv6 = !is_ipv4_mapped(&target->address);
	wrap->outer_bytes = (wrap->is_outer_ipv6 ? sizeof(struct ipv6hdr)
						 : sizeof(struct iphdr)) +
			    (is_gue ? sizeof(struct udphdr) : 0);
	if (packet->ipv4) {
		wrap->tos = packet->ipv4->tos;
		wrap->inner_bytes = bpf_ntohs(packet->ipv4->tot_len);
	} else if (packet->ipv6) {
		wrap->is_ipv6 = true;
		wrap->tos = packet->ipv6->priority << 4 |
			    packet->ipv6->flow_lbl[0] >> 4;
		wrap->inner_bytes = bpf_ntohs(packet->ipv6->payload_len) +
				    sizeof(struct ipv6hdr);
	}
	wrap->protocol = wrap->is_ipv6 ? IPPROTO_IPV6 : IPPROTO_IPIP;
	if (is_gue)
		wrap->protocol = IPPROTO_UDP;
}

static __always_inline __be16 source_port(const struct wrap *wrap)
{
	return bpf_htons(FIRST_DYNAMIC_PORT +
			 wrap->hash % (65536 - FIRST_DYNAMIC_PORT));
}

/* Where the outer packet goes next: one of BPF_FIB_LKUP_RET_*. */
static __always_inline long find_route(struct xdp_md *ctx,
				       const struct wrap *wrap,
				       const struct target *target,
				       struct bpf_fib_lookup *route)
{
	route->tot_len = wrap->outer_bytes + wrap->inner_bytes;
	route->ifindex = ctx->ingress_ifindex;
	route->l4_protocol = wrap->protocol;
	if (wrap->protocol == IPPROTO_UDP) {
		route->sport = source_port(wrap);
		route->dport = bpf_htons(GUE_PORT);
	}
	if (wrap->is_outer_ipv6) {
		route->family = AF_INET6;
		__builtin_memcpy(route->ipv6_src, &target->source,
				 sizeof(target->source));
		__builtin_memcpy(route->ipv6_dst, &target->address,
				 sizeof(target->address));
	} else {
		route->family = AF_INET;
		route->tos = wrap->tos;
		route->ipv4_src = target->source.in6_u.u6_addr32[3];
		route->ipv4_dst = target->address.in6_u.u6_addr32[3];
	}
	return bpf_fib_lookup(ctx, route, sizeof(*route), 0);
}

/* One hop less; false where this was the last one. */
static __always_inline bool take_hop(const struct packet *packet)
{
	struct iphdr *ip = packet->ipv4;
	__u32 check;

	if (ip) {
		if (ip->ttl <= 1)
			return false;
		ip->ttl--;
		/* RFC 1141. */
		check = ip->check + bpf_htons(0x0100);
		ip->check = check + (check >= 0xffff);
	} else if (packet->ipv6) {
		if (packet->ipv6->hop_limit <= 1)
			return false;
		packet->ipv6->hop_limit--;
	}
	return true;
}

static __always_inline void *write_ipv4(struct iphdr *ip, void *end,
					const struct wrap *wrap,
					const struct target *target)
{
	__u16 *words = (void *)ip;
	__u32 sum = 0;

	if ((void *)(ip + 1) > end)
		return NULL;
	ip->version = 4;
	ip->ihl = sizeof(*ip) / 4;
	ip->tos = wrap->tos;
	ip->tot_len = bpf_htons(wrap->outer_bytes + wrap->inner_bytes);
	/* Never a fragment, so it needs no number (RFC 6864). */
	ip->id = 0;
	ip->frag_off = bpf_htons(IP_DF);
	ip->ttl = HOP_LIMIT;
	ip->protocol = wrap->protocol;
	ip->check = 0;
	ip->saddr = target->source.in6_u.u6_addr32[3];
	ip->daddr = target->address.in6_u.u6_addr32[3];
	for (int i = 0; i < sizeof(*ip) / sizeof(*words); i++)
		sum += words[i];
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	ip->check = ~sum;
	return ip + 1;
}

static __always_inline void *write_ipv6(struct ipv6hdr *ip, void *end,
					const struct wrap *wrap,
					const struct target *target)
{
	if ((void *)(ip + 1) > end)
		return NULL;
	ip->version = 6;
	ip->priority = wrap->tos >> 4;
	/* The flow label tells flows apart (RFC 6438). */
	ip->flow_lbl[0] = wrap->tos << 4 | (wrap->hash >> 16 & 0x0f);
	ip->flow_lbl[1] = wrap->hash >> 8;
	ip->flow_lbl[2] = wrap->hash;
	ip->payload_len =
		bpf_htons(wrap->outer_bytes + wrap->inner_bytes - sizeof(*ip));
	ip->nexthdr = wrap->protocol;
	ip->hop_limit = HOP_LIMIT;
	ip->saddr = target->source;
	ip->daddr = target->address;
	return ip + 1;
}

static __always_inline void *write_udp(struct udphdr *udp, void *end,
				       const struct wrap *wrap)
{
	if ((void *)(udp + 1) > end)
		return NULL;
	udp->source = source_port(wrap);
	udp->dest = bpf_htons(GUE_PORT);
	udp->len = bpf_htons(sizeof(*udp) + wrap->inner_bytes);
	/* The packet inside has one of its own (RFC 6935). */
	udp->check = 0;
	return udp + 1;
}

/* Ethernet with the tags that the packet came with, or without. */
static __always_inline void *write_ethernet(void *at, void *end,
					    const struct wrap *wrap,
					    const struct hop *hop)
{
	struct ethhdr *ethernet = at;
	__be32 *tags = (void *)&ethernet->h_proto;
	__be16 *ethertype = (void *)&ethernet->h_proto;

	if ((void *)(tags + MAX_VLAN_TAGS) + sizeof(*ethertype) > end)
		return NULL;
	__builtin_memcpy(ethernet->h_dest, hop->to, ETH_ALEN);
	__builtin_memcpy(ethernet->h_source, hop->from, ETH_ALEN);
	if (hop->tag_count > 0) {
		*tags = wrap->tags[0];
		ethertype += 2;
	}
	if (hop->tag_count > 1) {
		*(tags + 1) = wrap->tags[1];
		ethertype += 2;
	}
	*ethertype = bpf_htons(wrap->is_outer_ipv6 ? ETH_P_IPV6 : ETH_P_IP);
	return ethertype + 1;
}

/* Makes room in front of the packet, and fills it; NULL where there is none. */
static __always_inline void *write_outer(struct xdp_md *ctx,
					 const struct wrap *wrap,
					 const struct target *target,
					 const struct hop *hop)
{
	int grows = wrap->outer_bytes +
		    (hop->tag_count - wrap->tag_count) * sizeof(__be32);
	void *at, *end;

	if (bpf_xdp_adjust_head(ctx, -grows))
		return NULL;
	end = (void *)(long)ctx->data_end;
	at = write_ethernet((void *)(long)ctx->data, end, wrap, hop);
	if (!at)
		return NULL;
	if (wrap->is_outer_ipv6)
		at = write_ipv6(at, end, wrap, target);
	else
		at = write_ipv4(at, end, wrap, target);
	if (at && wrap->protocol == IPPROTO_UDP)
		at = write_udp(at, end, wrap);
	return at;
}

#endif
