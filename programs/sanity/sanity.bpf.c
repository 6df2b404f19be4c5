/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Drops packets that no honest host sends. Each check can be switched off.
 */
#include "../include/parse.h"

/* IP headers that contradict themselves or the packet they are in. */
const volatile bool drop_bad_headers = true;
/* Flags that no state of TCP sends together (RFC 9293, section 3.1). */
const volatile bool drop_bad_flags = true;
/* A source that is also the destination. */
const volatile bool drop_land = true;
/* Port 0, which is reserved (RFC 6335, section 6). */
const volatile bool drop_port_zero = true;
/* First fragments that leave a part of the TCP header to the next one. */
const volatile bool drop_tiny_fragments = true;

static __always_inline bool bad_ip4(struct packet *packet)
{
	struct iphdr *ip = packet->ip4;
	__u32 header = (ip->version_ihl & 0xf) * 4;
	__u32 total = bpf_ntohs(ip->tot_len);

	if (ip->version_ihl >> 4 != 4 || total < header)
		return true;
	/* Ethernet pads short packets, but never cuts them. */
	return (void *)ip + total > packet->end;
}

static __always_inline bool bad_ip6(struct packet *packet)
{
	struct ipv6hdr *ip = packet->ip6;
	__u32 payload = bpf_ntohs(ip->payload_len);

	if (*(__u8 *)ip >> 4 != 6)
		return true;
	return (void *)(ip + 1) + payload > packet->end;
}

static __always_inline bool same_address(struct packet *packet)
{
	struct ipv6hdr *ip6 = packet->ip6;

	if (packet->ip4)
		return packet->ip4->saddr == packet->ip4->daddr;
	if (!ip6)
		return false;
	for (int i = 0; i < 4; i++) {
		if (ip6->saddr.word[i] != ip6->daddr.word[i])
			return false;
	}
	return true;
}

static __always_inline bool bad_flags(__u8 flags)
{
	flags &= TCP_FLAG_FIN | TCP_FLAG_SYN | TCP_FLAG_RST | TCP_FLAG_PSH |
		 TCP_FLAG_ACK | TCP_FLAG_URG;
	if (!flags)
		return true;
	if ((flags & TCP_FLAG_SYN) && (flags & (TCP_FLAG_FIN | TCP_FLAG_RST)))
		return true;
	/* FIN, PSH and URG without ACK: a "Christmas tree". */
	return (flags & TCP_FLAG_FIN) && !(flags & TCP_FLAG_ACK);
}

static __always_inline int check_ports(struct packet *packet, __be16 source,
				       __be16 dest)
{
	if (drop_port_zero && (!source || !dest))
		return XDP_DROP;
	if (drop_land && source == dest && same_address(packet))
		return XDP_DROP;
	return XDP_PASS;
}

static __always_inline int check_tcp(struct packet *packet)
{
	struct tcphdr *tcp = packet->transport;

	if ((void *)(tcp + 1) > packet->end) {
		if (packet->fragmented)
			return drop_tiny_fragments ? XDP_DROP : XDP_PASS;
		return drop_bad_headers ? XDP_DROP : XDP_PASS;
	}
	if (drop_bad_headers && (tcp->doff >> 4) * 4 < sizeof(*tcp))
		return XDP_DROP;
	if (drop_bad_flags && bad_flags(tcp->flags))
		return XDP_DROP;
	return check_ports(packet, tcp->source, tcp->dest);
}

static __always_inline int check_udp(struct packet *packet)
{
	struct udphdr *udp = packet->transport;

	if ((void *)(udp + 1) > packet->end)
		return drop_bad_headers ? XDP_DROP : XDP_PASS;
	/* Length 0 stands for a jumbogram (RFC 2675, section 4). */
	if (drop_bad_headers && udp->len &&
	    bpf_ntohs(udp->len) < sizeof(*udp))
		return XDP_DROP;
	return check_ports(packet, udp->source, udp->dest);
}

SEC("xdp")
int sanity(struct xdp_md *ctx)
{
	struct packet packet;
	int result = parse(ctx, &packet);

	if (result > 0)
		return XDP_PASS;
	if (result < 0)
		return drop_bad_headers ? XDP_DROP : XDP_PASS;
	if (drop_bad_headers && packet.ip4 && bad_ip4(&packet))
		return XDP_DROP;
	if (drop_bad_headers && packet.ip6 && bad_ip6(&packet))
		return XDP_DROP;
	if (!packet.transport)
		return XDP_PASS;
	if (packet.protocol == IPPROTO_TCP)
		return check_tcp(&packet);
	if (packet.protocol == IPPROTO_UDP)
		return check_udp(&packet);
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
