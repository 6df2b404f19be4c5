/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which flow a packet is of. */
#ifndef __FLOW_H__
#define __FLOW_H__

#include "maps.h"

/* All ones, and no less than where headers can be in a frame. */
#define MAX_IP_AT	 31
#define MAX_TRANSPORT_AT 0x3fff

enum kind {
	/* Of no flow that could be of a service. */
	KIND_OTHER,
	/* A SYN without ACK. */
	KIND_BEGINS,
	/* Any other segment of TCP. */
	KIND_GOES_ON,
	/* UDP, where nobody sees beginnings. */
	KIND_DATAGRAM,
	/* An ICMP error about a packet that went from the service. */
	KIND_ERROR,
	/* The first fragment of one of them; the others have no ports. */
	KIND_FRAGMENT,
};

/* What there is to know of a packet. */
struct seen {
	struct packet packet;
	struct flow flow;
	enum kind kind;
	/* Of TCP. */
	__u32 sequence;
};

struct ports {
	__be16 source;
	__be16 destination;
};

/*
 * Lays the pointers anew, from numbers that the verifier knows nothing of. It
 * would follow each way through tags and extension headers to the end of the
 * program otherwise, which takes it several times as long.
 */
static __always_inline bool forget_way(struct xdp_md *ctx,
				       struct packet *packet)
{
	void *start = (void *)(long)ctx->data, *from = start, *ip = start;
	__u64 tags_at = sizeof(struct ethhdr), ip_at;

	/* Kept from the compiler, which would count. */
	asm volatile("" : "+r"(from));
	ip_at = distance(from,
			 start + tags_at + packet->vlan_tags * sizeof(__be32)) &
		MAX_IP_AT;
	ip += ip_at;
	packet->transport =
		start + (distance(from, packet->transport) & MAX_TRANSPORT_AT);
	packet->vlan_tags = (ip_at - tags_at) / sizeof(__be32);
	packet->end = (void *)(long)ctx->data_end;
	packet->ipv4 = NULL;
	packet->ipv6 = NULL;
	if (ip + sizeof(struct iphdr) > packet->end)
		return false;
	if (((struct iphdr *)ip)->version == 4)
		packet->ipv4 = ip;
	else if (ip + sizeof(struct ipv6hdr) <= packet->end)
		packet->ipv6 = ip;
	return packet->ipv4 || packet->ipv6;
}

static __always_inline enum kind read_segment(struct seen *seen)
{
	const struct packet *packet = &seen->packet;
	struct flow *flow = &seen->flow;
	struct ports *ports = packet->transport;
	struct tcphdr *tcp = packet->transport;

	if (packet->fragment_offset || (void *)(ports + 1) > packet->end)
		return KIND_OTHER;
	read_addresses(packet, &flow->client, &flow->service.address);
	flow->client_port = ports->source;
	flow->service.port = ports->destination;
	flow->service.protocol = packet->protocol;
	if (packet->more_fragments)
		return KIND_FRAGMENT;
	if (packet->protocol == IPPROTO_UDP)
		return KIND_DATAGRAM;
	if ((void *)(tcp + 1) > packet->end)
		return KIND_OTHER;
	seen->sequence = bpf_ntohl(tcp->seq);
	return tcp->syn && !tcp->ack ? KIND_BEGINS : KIND_GOES_ON;
}

/* The ports of the packet that an error is about, which went the other way. */
static __always_inline enum kind read_quoted_ports(struct ports *ports,
						   __u8 protocol, void *end,
						   struct flow *flow)
{
	if (protocol != IPPROTO_TCP && protocol != IPPROTO_UDP)
		return KIND_OTHER;
	if ((void *)(ports + 1) > end)
		return KIND_OTHER;
	flow->service.port = ports->source;
	flow->service.protocol = protocol;
	flow->client_port = ports->destination;
	return KIND_ERROR;
}

static __always_inline enum kind read_error_ipv4(const struct packet *packet,
						 struct flow *flow)
{
	struct icmphdr *icmp = packet->transport;
	struct iphdr *quoted = (void *)(icmp + 1);

	if (packet->fragment_offset || (void *)(quoted + 1) > packet->end)
		return KIND_OTHER;
	if (icmp->type != ICMP_DEST_UNREACH &&
	    icmp->type != ICMP_TIME_EXCEEDED &&
	    icmp->type != ICMP_PARAMETERPROB)
		return KIND_OTHER;
	if (quoted->version != 4 || quoted->ihl < 5 ||
	    quoted->frag_off & bpf_htons(IP_OFFSET))
		return KIND_OTHER;
	/* It goes to who sent the packet, or somebody makes it up. */
	if (quoted->saddr != packet->ipv4->daddr)
		return KIND_OTHER;
	map_ipv4(quoted->saddr, &flow->service.address);
	map_ipv4(quoted->daddr, &flow->client);
	return read_quoted_ports((void *)quoted + quoted->ihl * 4,
				 quoted->protocol, packet->end, flow);
}

static __always_inline bool is_same(const struct in6_addr *one,
				    const struct in6_addr *other)
{
	return one->in6_u.u6_addr32[0] == other->in6_u.u6_addr32[0] &&
	       one->in6_u.u6_addr32[1] == other->in6_u.u6_addr32[1] &&
	       one->in6_u.u6_addr32[2] == other->in6_u.u6_addr32[2] &&
	       one->in6_u.u6_addr32[3] == other->in6_u.u6_addr32[3];
}

static __always_inline enum kind read_error_ipv6(const struct packet *packet,
						 struct flow *flow)
{
	struct icmphdr *icmp = packet->transport;
	struct ipv6hdr *quoted = (void *)(icmp + 1);

	if (packet->fragment_offset || (void *)(quoted + 1) > packet->end)
		return KIND_OTHER;
	if (icmp->type < ICMPV6_DEST_UNREACH || icmp->type > ICMPV6_PARAMPROB)
		return KIND_OTHER;
	if (quoted->version != 6 ||
	    !is_same(&quoted->saddr, &packet->ipv6->daddr))
		return KIND_OTHER;
	flow->service.address = quoted->saddr;
	flow->client = quoted->daddr;
	return read_quoted_ports((void *)(quoted + 1), quoted->nexthdr,
				 packet->end, flow);
}

static __always_inline void read_flow(struct seen *seen)
{
	const struct packet *packet = &seen->packet;

	if (packet->protocol == IPPROTO_TCP || packet->protocol == IPPROTO_UDP)
		seen->kind = read_segment(seen);
	else if (packet->protocol == IPPROTO_ICMP && packet->ipv4)
		seen->kind = read_error_ipv4(packet, &seen->flow);
	else if (packet->protocol == IPPROTO_ICMPV6 && packet->ipv6)
		seen->kind = read_error_ipv6(packet, &seen->flow);
}

/* Fibonacci hashing, word by word. */
static __always_inline __u64 mix(__u64 hash, __u64 word)
{
	hash = (hash ^ word) * 0x9E3779B97F4A7C15ULL;
	return hash ^ hash >> 32;
}

/* Balancers with one seed agree on it. */
static __always_inline __u32 hash_flow(const struct flow *flow)
{
	__u64 words[sizeof(*flow) / sizeof(__u64)];
	__u64 hash = hash_seed;

	__builtin_memcpy(words, flow, sizeof(words));
	for (int i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		hash = mix(hash, words[i]);
	return mix(hash, 0) >> 32;
}

#endif
