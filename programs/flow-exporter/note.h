/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Reads of a packet which flow it is of, and how much it is. */
#ifndef __NOTE_H__
#define __NOTE_H__

#include "maps.h"

static __always_inline bool has_ports(__u8 protocol)
{
	return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP ||
	       protocol == IPPROTO_SCTP || protocol == IPPROTO_DCCP ||
	       protocol == IPPROTO_UDPLITE;
}

/*
 * Ports, or type and code of ICMP; flags of TCP, from FIN to CWR with the three
 * bits in front (RFC 9293, section 3.1). Returns how long the header is where
 * the kernel may have put segments together.
 */
static __always_inline __u32 read_transport(const struct __sk_buff *ctx,
					    struct flow_note *note)
{
	void *end = (void *)(long)ctx->data_end;
	void *at = (void *)(long)ctx->data + (note->transport & 0x3FFF);
	__be16 *word = at;
	struct tcphdr *tcp = at;
	__u64 rest = note->bytes - note->header_bytes;
	__u8 protocol = note->key.protocol;

	if (!note->transport || rest < 2 || (void *)(word + 1) > end)
		return 0;
	if (protocol ==
	    (note->key.ip_version == 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6)) {
		note->key.destination_port = word[0];
		return 0;
	}
	if (!has_ports(protocol) || rest < 4 || (void *)(word + 2) > end)
		return 0;
	note->key.source_port = word[0];
	note->key.destination_port = word[1];
	if (protocol != IPPROTO_TCP)
		return sizeof(struct udphdr);
	if (rest < sizeof(*tcp) || (void *)(tcp + 1) > end)
		return 0;
	note->tcp_flags = bpf_ntohs(word[6]) & 0x0FFF;
	return tcp->doff * 4;
}

static __always_inline void read_headers(const struct __sk_buff *ctx,
					 const struct packet *packet,
					 __u8 direction, struct flow_note *note)
{
	void *ip = packet->ipv4 ? (void *)packet->ipv4 : (void *)packet->ipv6;
	void *start = (void *)(long)ctx->data;
	struct flow_key *key = &note->key;

	__builtin_memset(key, 0, sizeof(*key));
	read_addresses(packet, &key->source, &key->destination);
	key->ingress_interface = ctx->ifindex;
	if (direction) {
		key->ingress_interface = ctx->ingress_ifindex;
		key->egress_interface = ctx->ifindex;
	}
	key->vlan = packet->vlan_tags ? packet->vlan_tci & VLAN_ID : 0;
	key->protocol = packet->protocol;
	key->direction = direction;
	key->checkpoints = checkpoints;
	key->sampling_one_in = sampling_one_in;
	key->sampling_random = sampling_random;
	if (packet->ipv4) {
		key->ip_version = 4;
		key->traffic_class = packet->ipv4->tos;
	} else if (packet->ipv6) {
		key->ip_version = 6;
		key->traffic_class = packet->ipv6->priority << 4 |
				     packet->ipv6->flow_lbl[0] >> 4;
	}
	note->tcp_flags = 0;
	note->packets = 1;
	note->header_bytes = distance(ip, packet->transport);
	note->bytes = note->header_bytes + packet->transport_bytes;
	note->transport = packet->fragment_offset
				  ? 0
				  : distance(start, packet->transport);
}

/*
 * Segments that the kernel handles as one are counted as they are on the wire,
 * each with headers of its own. Bytes are those of IP (octetDeltaCount).
 */
static __always_inline void count_segments(const struct __sk_buff *ctx,
					   __u32 transport_bytes,
					   struct flow_note *note)
{
	__u64 header_bytes = note->header_bytes + transport_bytes;
	__u32 segment_bytes = ctx->gso_size;
	__u64 packets = ctx->gso_segs;

	if (!segment_bytes || !transport_bytes || note->bytes <= header_bytes)
		return;
	/* Guests may leave it open. */
	if (!packets)
		packets = (note->bytes - header_bytes + segment_bytes - 1) /
			  segment_bytes;
	note->packets = packets;
	note->bytes += (packets - 1) * header_bytes;
}

/* Lays down what is to be counted of a packet, and what checkpoints need. */
static __always_inline enum packet_kind
take_note(struct __sk_buff *ctx, __u8 direction, struct flow_note *note)
{
	struct packet packet = {};
	enum packet_kind kind = read_skb(ctx, &packet);

	if (kind != PACKET_IP)
		return kind;
	read_headers(ctx, &packet, direction, note);
	/* What was put down is read anew: nothing of the way is known then. */
	barrier();
	count_segments(ctx, read_transport(ctx, note), note);
	return PACKET_IP;
}

#endif
