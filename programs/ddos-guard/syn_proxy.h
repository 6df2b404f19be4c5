/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Answers SYN segments with SYN cookies (RFC 4987, section 3.6) that are the
 * kernel's own: its listening sockets take the ACK that comes back, so nothing
 * is remembered here of a connection.
 */
#ifndef __SYN_PROXY_H__
#define __SYN_PROXY_H__

#include "../include/packet.h"
#include "places.h"

/* What a SYN-ACK with options needs of the sysctls: see README.md. */
const volatile bool syn_proxy_options = false;
const volatile __u8 syn_proxy_window_scale = 7;
const volatile __u16 syn_proxy_ipv4_mss = 1460;
const volatile __u16 syn_proxy_ipv6_mss = 1440;

#define MAX_TCP_BYTES 60
/* One option of 4 bytes: the maximum segment size. */
#define PLAIN_BYTES 24
/* With selective acknowledgements, timestamps and a window scale besides. */
#define RICH_BYTES 40
#define MAX_REPLY  (sizeof(struct ipv6hdr) + RICH_BYTES)
#define REPLY_HOPS 64
/* What Linux offers before it knows more; not scaled. */
#define REPLY_WINDOW 64240

/* Options of TCP (RFC 9293, 7323, 2018). */
enum {
	TCP_OPTION_END = 0,
	TCP_OPTION_NOP = 1,
	TCP_OPTION_MSS = 2,
	TCP_OPTION_WINDOW = 3,
	TCP_OPTION_SACK_PERMITTED = 4,
	TCP_OPTION_TIMESTAMP = 8,
};

/*
 * The low bits of the timestamp in a SYN-ACK, by which Linux remembers what the
 * client can (`net/ipv4/syncookies.c`).
 */
#define COOKIE_BITS	 6
#define COOKIE_SACK	 (1 << 4)
#define COOKIE_NO_WINDOW 0xF
#define MAX_WINDOW_SCALE 14

/* What a client offers in its SYN. */
struct offer {
	__be32 timestamp;
	__u8 window_scale;
	bool has_window;
	bool has_sack;
	bool has_timestamp;
};

/* The most bytes of options that a TCP header has. */
#define MAX_OPTION_BYTES (MAX_TCP_BYTES - sizeof(struct tcphdr))
/* The longest option that is read. */
#define MAX_OPTION 10

/* A TCP header as bytes, and how far its options were read. */
struct reading {
	struct tcphdr header;
	__u8 options[MAX_OPTION_BYTES + MAX_OPTION];
	struct offer offer;
	/* Where the next option begins, and where the last one ends. */
	__u32 next;
	__u32 end;
};

/*
 * Reads the option that begins at a place, if one does: places are visited one
 * by one, since the verifier follows a number that goes up and no pointer that
 * leaps.
 */
static long read_option(__u32 at, struct reading *reading)
{
	struct offer *offer = &reading->offer;
	const __u8 *option;
	__u32 bytes;

	if (at >= MAX_OPTION_BYTES || at >= reading->end)
		return 1;
	if (at != reading->next)
		return 0;
	option = &reading->options[at];
	if (option[0] == TCP_OPTION_END)
		return 1;
	bytes = option[0] == TCP_OPTION_NOP ? 1 : option[1];
	if (!bytes || at + bytes > reading->end)
		return 1;
	reading->next = at + bytes;
	if (option[0] == TCP_OPTION_SACK_PERMITTED && bytes == 2)
		offer->has_sack = true;
	if (option[0] == TCP_OPTION_WINDOW && bytes == 3) {
		offer->has_window = true;
		offer->window_scale = option[2] < MAX_WINDOW_SCALE
					      ? option[2]
					      : MAX_WINDOW_SCALE;
	}
	if (option[0] == TCP_OPTION_TIMESTAMP && bytes == MAX_OPTION) {
		offer->has_timestamp = true;
		__builtin_memcpy(&offer->timestamp, option + 2, 4);
	}
	return 0;
}

/* The timestamp of Linux, a millisecond each, with the offer in its low bits.
 */
static __always_inline __u32 cookie_timestamp(const struct offer *offer)
{
	__u32 now_ms = bpf_ktime_get_ns() / 1000000, told_ms;
	__u32 bits = offer->has_window ? offer->window_scale : COOKIE_NO_WINDOW;

	if (offer->has_sack)
		bits |= COOKIE_SACK;
	told_ms = now_ms >> COOKIE_BITS << COOKIE_BITS | bits;
	/* Timestamps of the connection that follow must not be earlier. */
	return told_ms > now_ms ? told_ms - (1 << COOKIE_BITS) : told_ms;
}

static __always_inline __u32 option_word(__u8 first, __u8 second, __u16 rest)
{
	return bpf_htonl((__u32)first << 24 | (__u32)second << 16 | rest);
}

/* Writes the options of the SYN-ACK; returns how long the header is. */
static __always_inline __u32 write_options(__be32 *to, __u16 mss,
					   const struct offer *offer)
{
	const __u8 nop = TCP_OPTION_NOP;

	to[0] = option_word(TCP_OPTION_MSS, 4, mss);
	/* Without a timestamp the kernel would remember none of the others. */
	if (!syn_proxy_options || !offer->has_timestamp)
		return PLAIN_BYTES;
	to[1] = offer->has_sack
			? option_word(TCP_OPTION_SACK_PERMITTED, 2,
				      TCP_OPTION_TIMESTAMP << 8 | 10)
			: option_word(nop, nop, TCP_OPTION_TIMESTAMP << 8 | 10);
	to[2] = bpf_htonl(cookie_timestamp(offer));
	to[3] = offer->timestamp;
	to[4] = offer->has_window ? option_word(nop, TCP_OPTION_WINDOW,
						3 << 8 | syn_proxy_window_scale)
				  : option_word(nop, nop, nop << 8 | nop);
	return RICH_BYTES;
}

static __always_inline __u16 folded(__s64 sum)
{
	sum = (sum & 0xFFFF) + (sum >> 16 & 0xFFFF);
	sum = (sum & 0xFFFF) + (sum >> 16);
	return ~sum;
}

/*
 * Over the pseudo header, with addresses of IPv4 as ::ffff:0:0/96: what stands
 * before them adds 0xFFFF, which is nothing in this arithmetic.
 */
static __always_inline __u16 tcp_checksum(const struct in6_addr addresses[2],
					  struct tcphdr *tcp, __u32 bytes)
{
	__be32 rest[2] = {bpf_htonl(bytes), bpf_htonl(IPPROTO_TCP)};
	__s64 sum = bpf_csum_diff(NULL, 0, (__be32 *)addresses, 32, 0);

	sum = bpf_csum_diff(NULL, 0, rest, sizeof(rest), sum);
	if (bytes == RICH_BYTES)
		return folded(
			bpf_csum_diff(NULL, 0, (__be32 *)tcp, RICH_BYTES, sum));
	return folded(bpf_csum_diff(NULL, 0, (__be32 *)tcp, PLAIN_BYTES, sum));
}

/* What goes back: IP and TCP headers, one behind the other. */
union reply {
	struct {
		struct iphdr ip;
		struct tcphdr tcp;
		__be32 options[5];
	} ipv4;
	struct {
		struct ipv6hdr ip;
		struct tcphdr tcp;
		__be32 options[5];
	} ipv6;
};

static __always_inline void write_tcp(struct tcphdr *tcp,
				      const struct tcphdr *syn, __u32 cookie,
				      __u32 bytes)
{
	tcp->source = syn->dest;
	tcp->dest = syn->source;
	tcp->seq = bpf_htonl(cookie);
	tcp->ack_seq = bpf_htonl(bpf_ntohl(syn->seq) + 1);
	tcp->doff = bytes / 4;
	tcp->syn = 1;
	tcp->ack = 1;
	tcp->window = bpf_htons(REPLY_WINDOW);
}

/* The headers of a SYN, copied. */
struct question {
	union {
		struct iphdr ipv4;
		struct ipv6hdr ipv6;
	} ip;
	struct reading tcp;
};

/* Returns how long the reply is, or 0 where the kernel makes no cookies. */
static __always_inline __u32 reply_ipv4(union reply *reply,
					struct question *question, __u32 bytes)
{
	struct tcphdr *syn = &question->tcp.header;
	struct iphdr *to = &reply->ipv4.ip, *ip = &question->ip.ipv4;
	struct tcphdr *tcp = &reply->ipv4.tcp;
	struct in6_addr addresses[2];
	__s64 cookie = bpf_tcp_raw_gen_syncookie_ipv4(ip, syn, bytes);

	if (cookie < 0)
		return 0;
	bytes = write_options(reply->ipv4.options, syn_proxy_ipv4_mss,
			      &question->tcp.offer);
	write_tcp(tcp, syn, cookie, bytes);
	to->version = 4;
	to->ihl = sizeof(*to) / 4;
	to->tot_len = bpf_htons(sizeof(*to) + bytes);
	to->frag_off = bpf_htons(IP_DF);
	to->ttl = REPLY_HOPS;
	to->protocol = IPPROTO_TCP;
	to->saddr = ip->daddr;
	to->daddr = ip->saddr;
	to->check =
		folded(bpf_csum_diff(NULL, 0, (__be32 *)to, sizeof(*to), 0));
	map_ipv4(to->saddr, &addresses[0]);
	map_ipv4(to->daddr, &addresses[1]);
	tcp->check = tcp_checksum(addresses, tcp, bytes);
	return sizeof(*to) + bytes;
}

static __always_inline __u32 reply_ipv6(union reply *reply,
					struct question *question, __u32 bytes)
{
	struct tcphdr *syn = &question->tcp.header;
	struct ipv6hdr *to = &reply->ipv6.ip, *ip = &question->ip.ipv6;
	struct tcphdr *tcp = &reply->ipv6.tcp;
	__s64 cookie = bpf_tcp_raw_gen_syncookie_ipv6(ip, syn, bytes);

	if (cookie < 0)
		return 0;
	bytes = write_options(reply->ipv6.options, syn_proxy_ipv6_mss,
			      &question->tcp.offer);
	write_tcp(tcp, syn, cookie, bytes);
	to->version = 6;
	to->payload_len = bpf_htons(bytes);
	to->nexthdr = IPPROTO_TCP;
	to->hop_limit = REPLY_HOPS;
	to->saddr = ip->daddr;
	to->daddr = ip->saddr;
	tcp->check = tcp_checksum(&to->saddr, tcp, bytes);
	return sizeof(*to) + bytes;
}

/* Sends the frame back to where it came from. */
static __always_inline void swap_macs(struct ethhdr *ethernet)
{
	__u8 destination[ETH_ALEN];

	__builtin_memcpy(destination, ethernet->h_dest, ETH_ALEN);
	__builtin_memcpy(ethernet->h_dest, ethernet->h_source, ETH_ALEN);
	__builtin_memcpy(ethernet->h_source, destination, ETH_ALEN);
}

/*
 * Makes the SYN-ACK of a SYN whose TCP header follows an IP header without
 * options. False: the frame is as it was, and has no answer.
 *
 * Global, so that the verifier looks at it once and not once for each kind of
 * frame that leads here.
 */
__noinline bool answer_syn(struct xdp_md *ctx, __u32 ip_at, bool is_ipv6)
{
	__u32 ip_bytes =
		is_ipv6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr);
	struct question question = {};
	union reply reply = {};
	__u32 bytes, frame_bytes, tcp_bytes;
	void *data;

	if (ip_at > MAX_IP_OFFSET ||
	    bpf_xdp_load_bytes(ctx, ip_at, &question.ip, ip_bytes) ||
	    bpf_xdp_load_bytes(ctx, ip_at + ip_bytes, &question.tcp.header,
			       sizeof(struct tcphdr)))
		return false;
	tcp_bytes = question.tcp.header.doff * 4;
	if (tcp_bytes < sizeof(struct tcphdr) || tcp_bytes > MAX_TCP_BYTES ||
	    bpf_xdp_load_bytes(ctx, ip_at + ip_bytes, &question.tcp, tcp_bytes))
		return false;
	question.tcp.end = tcp_bytes - sizeof(struct tcphdr);
	if (syn_proxy_options)
		bpf_loop(MAX_OPTION_BYTES, read_option, &question.tcp, 0);
	bytes = is_ipv6 ? reply_ipv6(&reply, &question, tcp_bytes)
			: reply_ipv4(&reply, &question, tcp_bytes);
	if (!bytes || bytes > MAX_REPLY)
		return false;
	frame_bytes =
		distance((void *)(long)ctx->data, (void *)(long)ctx->data_end);
	if (bpf_xdp_adjust_tail(ctx, (int)(ip_at + bytes - frame_bytes)))
		return false;
	if (bpf_xdp_store_bytes(ctx, ip_at, &reply, bytes))
		return false;
	data = (void *)(long)ctx->data;
	if (data + sizeof(struct ethhdr) > (void *)(long)ctx->data_end)
		return false;
	swap_macs(data);
	return true;
}

#endif
