// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Tells and counts the segments that TCP sends again: to whom, in which state
 * of the connection, and what made it do so.
 */
#include "../include/counts.h"
#include "../include/probe.h"
#include <bpf/bpf_endian.h>

#define AF_INET 2
/* States of a connection and of congestion control: net/tcp_states.h, and
 * `enum tcp_ca_state` of linux/tcp.h. */
#define TCP_SYN_SENT	2
#define TCP_SYN_RECV	3
#define TCP_CA_RECOVERY 3
#define TCP_CA_LOSS	4

#define MAX_COUNTED 512

/* How many bits of an address make the network it is counted under. */
const volatile __u32 ipv4_prefix = 24;
const volatile __u32 ipv6_prefix = 48;
/* Without, segments are counted only. */
const volatile bool tell = true;

struct net {
	struct {
		__u32 inum;
	} ns;
} __attribute__((preserve_access_index));

struct sock_common {
	__be32 skc_daddr;
	__be32 skc_rcv_saddr;
	__be16 skc_dport;
	__u16 skc_num;
	unsigned short skc_family;
	volatile unsigned char skc_state;
	struct {
		struct net *net;
	} skc_net;
	struct in6_addr skc_v6_daddr;
	struct in6_addr skc_v6_rcv_saddr;
} __attribute__((preserve_access_index));

struct sock {
	struct sock_common __sk_common;
} __attribute__((preserve_access_index));

struct inet_connection_sock {
	__u8 icsk_ca_state : 5;
	__u8 icsk_retransmits;
} __attribute__((preserve_access_index));

struct tcp_sock {
	__u32 srtt_us;
	__u32 total_retrans;
	__u32 snd_cwnd;
} __attribute__((preserve_access_index));

struct sk_buff {
	unsigned int len;
} __attribute__((preserve_access_index));

/* Linux 6.17 tells of attempts that failed as well. */
struct trace_event_raw_tcp_retransmit_skb {
	int err;
} __attribute__((preserve_access_index));

enum reason {
	/* Nothing was acknowledged in time (RFC 6298). */
	TIMEOUT = 0,
	/* Later segments were acknowledged (RFC 5681, RFC 8985). */
	FAST = 1,
	/* The answer to the first one did not come: there is no connection. */
	HANDSHAKE = 2,
	/* A probe for whether the last segments arrived (RFC 8985, section 7).
	 */
	PROBE = 3,
	/* Whatever it was: that of the entry for all that has none. */
	ANY = 4,
};

struct retransmit {
	__u64 time_ns;
	/* Of IPv4 in the form of RFC 4291, 2.5.5.2. */
	__u8 local[16];
	__u8 remote[16];
	__u16 local_port;
	__u16 remote_port;
	__u32 bytes;
	/* The inode of its network namespace. */
	__u32 netns;
	/* Of this connection so far, and one after the other without an answer.
	 */
	__u32 total;
	__u32 round_trip_us;
	__u32 window;
	/* Timeouts one after the other, with this one. */
	__u8 in_a_row;
	__u8 state;
	enum reason reason;
};

struct peer {
	__u8 network[16];
	/* That of the service: the lower one of both. */
	__u32 port;
	enum reason reason;
};

struct sent_again {
	__u64 segments;
	__u64 bytes;
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 18);
} retransmits SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, MAX_COUNTED);
	__type(key, struct peer);
	__type(value, struct sent_again);
} sent_again SEC(".maps");

struct counter untold SEC(".maps");

/* An address of IPv4 as one of IPv6. */
static __always_inline void map_address(__u8 *address, __be32 of_ipv4)
{
	__u32 *words = (__u32 *)address;

	words[0] = words[1] = 0;
	words[2] = bpf_htonl(0xFFFF);
	words[3] = of_ipv4;
}

static __always_inline bool is_mapped(const __u8 *address)
{
	const __u32 *words = (const __u32 *)address;

	return !words[0] && !words[1] && words[2] == bpf_htonl(0xFFFF);
}

/* Clears the bits of an address behind a prefix. */
static __always_inline void mask(__u8 *address, __u32 prefix)
{
	__u32 *words = (__u32 *)address;

#pragma unroll
	for (int at = 0; at < 4; at++) {
		__u32 first = at * 32;

		if (prefix <= first)
			words[at] = 0;
		else if (prefix < first + 32)
			words[at] &= bpf_htonl(~0U << (first + 32 - prefix));
	}
}

static __always_inline enum reason reason_of(struct sock *sock, __u8 state)
{
	struct inet_connection_sock *connection = (void *)sock;
	__u8 congestion;

	if (state == TCP_SYN_SENT || state == TCP_SYN_RECV)
		return HANDSHAKE;
	congestion = BPF_CORE_READ_BITFIELD_PROBED(connection, icsk_ca_state);
	if (congestion == TCP_CA_LOSS)
		return TIMEOUT;
	return congestion == TCP_CA_RECOVERY ? FAST : PROBE;
}

static __always_inline void count(const struct retransmit *event)
{
	struct peer others = {.reason = ANY}, peer = {};
	struct sent_again none = {}, *counted;

	__builtin_memcpy(peer.network, event->remote, sizeof(peer.network));
	mask(peer.network,
	     is_mapped(peer.network) ? 96 + ipv4_prefix : ipv6_prefix);
	peer.port = event->local_port < event->remote_port ? event->local_port
							   : event->remote_port;
	peer.reason = event->reason;
	counted = count_of(&sent_again, &peer, &others, &none);
	if (counted) {
		counted->segments += 1;
		counted->bytes += event->bytes;
	}
}

/* No inline function: its arguments bring the type of the event into BTF. */
static __noinline int describe(struct retransmit *event, struct sock *sock,
			       struct sk_buff *segment)
{
	struct inet_connection_sock *connection = (void *)sock;
	struct tcp_sock *tcp = (void *)sock;

	event->time_ns = bpf_ktime_get_ns();
	if (BPF_CORE_READ(sock, __sk_common.skc_family) == AF_INET) {
		map_address(event->local,
			    BPF_CORE_READ(sock, __sk_common.skc_rcv_saddr));
		map_address(event->remote,
			    BPF_CORE_READ(sock, __sk_common.skc_daddr));
	} else {
		BPF_CORE_READ_INTO(&event->local, sock,
				   __sk_common.skc_v6_rcv_saddr);
		BPF_CORE_READ_INTO(&event->remote, sock,
				   __sk_common.skc_v6_daddr);
	}
	event->local_port = BPF_CORE_READ(sock, __sk_common.skc_num);
	event->remote_port =
		bpf_ntohs(BPF_CORE_READ(sock, __sk_common.skc_dport));
	event->netns = BPF_CORE_READ(sock, __sk_common.skc_net.net, ns.inum);
	event->state = BPF_CORE_READ(sock, __sk_common.skc_state);
	event->bytes = BPF_CORE_READ(segment, len);
	event->in_a_row = BPF_CORE_READ(connection, icsk_retransmits);
	event->total = BPF_CORE_READ(tcp, total_retrans);
	/* The kernel keeps eight times the time. */
	event->round_trip_us = BPF_CORE_READ(tcp, srtt_us) >> 3;
	event->window = BPF_CORE_READ(tcp, snd_cwnd);
	event->reason = reason_of(sock, event->state);
	return 0;
}

SEC("raw_tp/tcp_retransmit_skb")
int on_retransmit(__u64 *arguments)
{
	struct trace_event_raw_tcp_retransmit_skb *described = NULL;
	struct retransmit event = {};

	/* What was not sent is none. */
	if (bpf_core_field_exists(described->err) && (int)arguments[2])
		return 0;
	describe(&event, (void *)arguments[0], (void *)arguments[1]);
	count(&event);
	if (tell && bpf_ringbuf_output(&retransmits, &event, sizeof(event), 0))
		count_lost(&untold);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
