/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Tells a client that its packet is too large for the tunnel, so that it sends
 * smaller ones (RFC 1191, RFC 8201). The answer is shorter than what is
 * answered.
 */
#ifndef __TOO_BIG_H__
#define __TOO_BIG_H__

#include "flow.h"
#include "wrap.h"

/* An IP header and 8 bytes: the ports and the sequence number. */
#define QUOTED_IPV4 (sizeof(struct iphdr) + 8)
#define QUOTED_IPV6 (sizeof(struct ipv6hdr) + 8)
/* What every link must take: RFC 791, section 3.2; RFC 8200, section 5. */
#define LEAST_MTU_IPV4 68
#define LEAST_MTU_IPV6 1280

struct pseudo_header {
	struct in6_addr source;
	struct in6_addr destination;
	__be32 bytes;
	__be32 protocol;
};

static __always_inline __sum16 fold(__s64 sum)
{
	__u32 folded = sum;

	folded = (folded & 0xffff) + (folded >> 16);
	folded = (folded & 0xffff) + (folded >> 16);
	return ~folded;
}

/* Whether the sender wants to know, and can find out what it is about. */
static __always_inline bool wants_to_know(const struct seen *seen, __u32 mtu)
{
	const struct packet *packet = &seen->packet;

	if (seen->kind == KIND_ERROR)
		return false;
	if (packet->ipv4)
		return packet->ipv4->frag_off & bpf_htons(IP_DF) &&
		       packet->ipv4->ihl == 5 && mtu >= LEAST_MTU_IPV4;
	return packet->ipv6 && packet->ipv6->nexthdr == packet->protocol &&
	       mtu >= LEAST_MTU_IPV6;
}

static __always_inline bool write_icmp_ipv4(struct icmphdr *icmp, void *end,
					    __u32 mtu)
{
	if ((void *)(icmp + 1) + QUOTED_IPV4 > end)
		return false;
	icmp->type = ICMP_DEST_UNREACH;
	icmp->code = ICMP_FRAG_NEEDED;
	icmp->checksum = 0;
	icmp->rest = bpf_htonl(mtu);
	icmp->checksum = fold(bpf_csum_diff(NULL, 0, (void *)icmp,
					    sizeof(*icmp) + QUOTED_IPV4, 0));
	return true;
}

static __always_inline bool write_icmp_ipv6(struct icmphdr *icmp, void *end,
					    __u32 mtu,
					    const struct target *client)
{
	struct pseudo_header pseudo = {
		.source = client->source,
		.destination = client->address,
		.bytes = bpf_htonl(sizeof(*icmp) + QUOTED_IPV6),
		.protocol = bpf_htonl(IPPROTO_ICMPV6),
	};
	__s64 sum;

	if ((void *)(icmp + 1) + QUOTED_IPV6 > end)
		return false;
	icmp->type = ICMPV6_PKT_TOOBIG;
	icmp->code = 0;
	icmp->checksum = 0;
	icmp->rest = bpf_htonl(mtu);
	sum = bpf_csum_diff(NULL, 0, (void *)&pseudo, sizeof(pseudo), 0);
	sum = bpf_csum_diff(NULL, 0, (void *)icmp, sizeof(*icmp) + QUOTED_IPV6,
			    sum);
	icmp->checksum = fold(sum);
	return true;
}

/* Makes an answer of the packet; false where there is no room for it. */
static __always_inline bool answer_too_big(struct xdp_md *ctx,
					   const struct seen *seen,
					   const struct wrap *packet, __u32 mtu)
{
	/* It comes from the service, which is where the packet went to. */
	struct target client = {.address = seen->flow.client,
				.source = seen->flow.service.address};
	struct hop back = {.tag_count = packet->tag_count};
	struct wrap wrap = *packet;
	__u32 kept = sizeof(struct ethhdr) + wrap.tag_count * sizeof(__be32);
	void *at, *end;
	__u64 length;

	__builtin_memcpy(back.to, wrap.from, ETH_ALEN);
	__builtin_memcpy(back.from, wrap.to, ETH_ALEN);
	wrap.is_outer_ipv6 = wrap.is_ipv6;
	wrap.tos = 0;
	wrap.inner_bytes = wrap.is_ipv6 ? QUOTED_IPV6 : QUOTED_IPV4;
	wrap.protocol = wrap.is_ipv6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
	wrap.outer_bytes =
		(wrap.is_ipv6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr)) +
		sizeof(struct icmphdr);
	kept += wrap.inner_bytes;
	length = distance((void *)(long)ctx->data, (void *)(long)ctx->data_end);
	if (bpf_xdp_adjust_tail(ctx, kept - length))
		return false;
	at = write_outer(ctx, &wrap, &client, &back);
	if (!at)
		return false;
	end = (void *)(long)ctx->data_end;
	if (wrap.is_ipv6)
		return write_icmp_ipv6(at, end, mtu, &client);
	return write_icmp_ipv4(at, end, mtu);
}

#endif
