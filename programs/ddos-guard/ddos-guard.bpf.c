// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Keeps floods away from a host: lists of sources, packets that no honest host
 * sends, answers of servers that nobody asked, sources that send too much, and
 * SYN floods.
 *
 * Each part is off until it is configured, but for the checks that cost nobody
 * anything. A packet is counted once, by the reason for what becomes of it.
 */
#include "../include/packet.h"

const volatile bool check_header = true;
const volatile bool check_fragments = true;
const volatile bool check_flags = true;
const volatile bool check_ports = true;
const volatile bool check_land = true;

#include "../include/flaws.h"
#include "automatic.h"
#include "lists.h"
#include "places.h"
#include "syn_proxy.h"

const volatile bool check_martians = true;
const volatile bool check_bogons = false;
const volatile bool drop_fragments = false;
const volatile bool syn_proxy = false;
const volatile bool check_sockets = true;
const volatile bool check_cookies = true;

enum reason {
	/* These pass. */
	REASON_NONE,
	REASON_OTHER,
	REASON_ALLOWED,
	REASON_SYN_LEFT,
	REASON_COOKIE,
	/* These are dropped. */
	REASON_BLOCKED,
	REASON_FEED,
	REASON_AUTOMATIC,
	REASON_HEADER,
	REASON_TINY_FRAGMENT,
	REASON_FLAGS,
	REASON_PORT,
	REASON_LAND,
	REASON_FRAGMENT,
	REASON_MARTIAN,
	REASON_BOGON,
	REASON_AMPLIFIER,
	REASON_NO_COOKIE,
	REASON_SYN_ODD,
	/* This is sent back. */
	REASON_SYN_ANSWERED,
	REASONS,
};

struct traffic {
	__u64 packets;
	__u64 bytes;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, REASONS);
	__type(key, __u32);
	__type(value, struct traffic);
} reasons SEC(".maps");

/*
 * From which length of payload on answers of a UDP source port are dropped; 0:
 * they are not. An array, since each datagram is looked up.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 65536);
	__type(key, __u32);
	__type(value, __u32);
} amplifiers SEC(".maps");

/* How many SYNs a second of each service the kernel answers itself. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __be16);
	__type(value, __u32);
} protected_ports SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 1024);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct ipv4_prefix);
	__type(value, bool);
} protected_ipv4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 1024);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct ipv6_prefix);
	__type(value, bool);
} protected_ipv6 SEC(".maps");

struct service {
	struct in6_addr address;
	__be16 port;
	__u16 reserved;
};

struct syn_allowance {
	/* CLOCK_MONOTONIC. */
	__u64 since_ns;
	__u64 syns;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct service);
	__type(value, struct syn_allowance);
} syn_allowances SEC(".maps");

static __always_inline bool is_within(__be32 address, __u32 network, __u8 bits)
{
	return !((bpf_ntohl(address) ^ network) & ~0U << (32 - bits));
}

/*
 * No packet on a network has such a source: loopback, multicast, class E. The
 * address 0.0.0.0 is that of a host that has none yet (DHCP).
 */
static __always_inline bool is_martian_ipv4(__be32 address)
{
	return is_within(address, 0x7F000000, 8) ||
	       is_within(address, 0xE0000000, 3) ||
	       (address && is_within(address, 0, 8));
}

/* Not routed in the Internet (RFC 6890 and its registry). */
static __always_inline bool is_bogon_ipv4(__be32 address)
{
	return !address || is_within(address, 0x0A000000, 8) ||
	       is_within(address, 0x64400000, 10) ||
	       is_within(address, 0xA9FE0000, 16) ||
	       is_within(address, 0xAC100000, 12) ||
	       is_within(address, 0xC0000000, 24) ||
	       is_within(address, 0xC0000200, 24) ||
	       is_within(address, 0xC0A80000, 16) ||
	       is_within(address, 0xC6120000, 15) ||
	       is_within(address, 0xC6336400, 24) ||
	       is_within(address, 0xCB007100, 24);
}

/* ::1, ::ffff:0:0/96, multicast. A host without an address has `::`. */
static __always_inline bool is_martian_ipv6(const struct in6_addr *address)
{
	const __be32 *words = address->in6_u.u6_addr32;

	if (is_within(words[0], 0xFF000000, 8))
		return true;
	return !words[0] && !words[1] &&
	       (words[2] == bpf_htonl(0xFFFF) ||
		(!words[2] && words[3] == bpf_htonl(1)));
}

/*
 * Outside of 2000::/3, which is all that is routed in the Internet, or in a
 * part of it that is not. Neighbours have addresses of fe80::/10, and `::`
 * before they have one (RFC 4862).
 */
static __always_inline bool is_bogon_ipv6(const struct in6_addr *address,
					  __u8 protocol)
{
	const __be32 *words = address->in6_u.u6_addr32;
	__u32 all = words[0] | words[1] | words[2] | words[3];

	if (is_within(words[0], 0xFE800000, 10))
		return false;
	if (!all)
		return protocol != IPPROTO_ICMPV6;
	return !is_within(words[0], 0x20000000, 3) ||
	       is_within(words[0], 0x20010DB8, 32) ||
	       is_within(words[0], 0x3FFF0000, 20);
}

static __always_inline enum reason wrong_source(const struct packet *packet)
{
	if (packet->ipv4) {
		__be32 source = packet->ipv4->saddr;

		if (check_martians && is_martian_ipv4(source))
			return REASON_MARTIAN;
		if (check_bogons && is_bogon_ipv4(source))
			return REASON_BOGON;
	} else if (packet->ipv6) {
		const struct in6_addr *source = &packet->ipv6->saddr;

		if (check_martians && is_martian_ipv6(source))
			return REASON_MARTIAN;
		if (check_bogons && is_bogon_ipv6(source, packet->protocol))
			return REASON_BOGON;
	}
	return REASON_NONE;
}

static __always_inline enum reason wrong_form(const struct packet *packet)
{
	switch (flaw_of(packet)) {
	case FLAW_HEADER:
		return REASON_HEADER;
	case FLAW_FRAGMENT:
		return REASON_TINY_FRAGMENT;
	case FLAW_FLAGS:
		return REASON_FLAGS;
	case FLAW_PORT:
		return REASON_PORT;
	case FLAW_LAND:
		return REASON_LAND;
	case FLAW_NONE:
		break;
	}
	if (drop_fragments &&
	    (packet->fragment_offset || packet->more_fragments))
		return REASON_FRAGMENT;
	return REASON_NONE;
}

/* An answer of a listed port that is longer than it may be. */
static __always_inline bool is_amplified(const struct packet *packet)
{
	struct udphdr *udp = packet->transport;
	__u32 *least;
	__u32 port;

	if (packet->protocol != IPPROTO_UDP || packet->fragment_offset ||
	    !holds(packet, sizeof(*udp)))
		return false;
	port = bpf_ntohs(udp->source);
	least = bpf_map_lookup_elem(&amplifiers, &port);
	if (!least || !*least)
		return false;
	/* A first fragment belongs to a datagram that is longer. */
	return packet->more_fragments ||
	       packet->transport_bytes - sizeof(*udp) >= *least;
}

/* The TCP header, if it is there. */
static __always_inline struct tcphdr *tcp_of(const struct packet *packet)
{
	struct tcphdr *tcp = packet->transport;

	if (packet->protocol != IPPROTO_TCP || packet->fragment_offset ||
	    !holds(packet, sizeof(*tcp)))
		return NULL;
	return tcp;
}

/* How many SYNs a second the kernel takes of a service; 0: not protected. */
static __always_inline __u32 protection(const struct packet *packet,
					const struct tcphdr *tcp)
{
	__be16 port = tcp->dest;
	__u32 *syns_per_second = bpf_map_lookup_elem(&protected_ports, &port);
	bool *is_protected;

	if (!syns_per_second)
		return 0;
	if (packet->ipv4) {
		struct ipv4_prefix key = {32, packet->ipv4->daddr};

		is_protected = bpf_map_lookup_elem(&protected_ipv4, &key);
	} else if (packet->ipv6) {
		struct ipv6_prefix key = {128, packet->ipv6->daddr};

		is_protected = bpf_map_lookup_elem(&protected_ipv6, &key);
	} else {
		return 0;
	}
	return is_protected && *is_protected ? *syns_per_second : 0;
}

/* The state of the socket that the kernel has for a segment; 0: none. */
static __always_inline __u32 socket_state(struct xdp_md *ctx,
					  const struct packet *packet,
					  const struct tcphdr *tcp)
{
	struct bpf_sock_tuple tuple = {};
	struct bpf_sock *socket;
	__u32 state;

	if (packet->ipv4) {
		tuple.ipv4.saddr = packet->ipv4->saddr;
		tuple.ipv4.daddr = packet->ipv4->daddr;
		tuple.ipv4.sport = tcp->source;
		tuple.ipv4.dport = tcp->dest;
		socket = bpf_skc_lookup_tcp(ctx, &tuple, sizeof(tuple.ipv4),
					    BPF_F_CURRENT_NETNS, 0);
	} else if (packet->ipv6) {
		__builtin_memcpy(tuple.ipv6.saddr, &packet->ipv6->saddr, 16);
		__builtin_memcpy(tuple.ipv6.daddr, &packet->ipv6->daddr, 16);
		tuple.ipv6.sport = tcp->source;
		tuple.ipv6.dport = tcp->dest;
		socket = bpf_skc_lookup_tcp(ctx, &tuple, sizeof(tuple.ipv6),
					    BPF_F_CURRENT_NETNS, 0);
	} else {
		return 0;
	}
	if (!socket)
		return 0;
	state = socket->state;
	bpf_sk_release(socket);
	return state;
}

/*
 * Whether the kernel may have this SYN. It takes cookies only of a listening
 * socket that sent some itself within two minutes
 * (`tcp_synq_no_recent_overflow` of Linux), so the first ones of each second
 * are its own.
 */
static __always_inline bool is_left_to_kernel(const struct packet *packet,
					      const struct tcphdr *tcp,
					      __u32 syns_per_second)
{
	struct service service = {.port = tcp->dest};
	struct syn_allowance first = {bpf_ktime_get_coarse_ns(), 1};
	struct syn_allowance *allowance;

	if (packet->ipv4)
		map_ipv4(packet->ipv4->daddr, &service.address);
	else if (packet->ipv6)
		service.address = packet->ipv6->daddr;
	allowance = bpf_map_lookup_elem(&syn_allowances, &service);
	if (!allowance) {
		bpf_map_update_elem(&syn_allowances, &service, &first, BPF_ANY);
		return true;
	}
	if (first.since_ns >= allowance->since_ns + SECOND_NS) {
		allowance->since_ns = first.since_ns;
		allowance->syns = 0;
	}
	/* A flood does not write. */
	if (allowance->syns >= syns_per_second)
		return false;
	__sync_fetch_and_add(&allowance->syns, 1);
	return true;
}

static __always_inline bool has_cookie(const struct packet *packet,
				       struct tcphdr *tcp)
{
	if (packet->ipv4)
		return !bpf_tcp_raw_check_syncookie_ipv4(packet->ipv4, tcp);
	if (packet->ipv6)
		return !bpf_tcp_raw_check_syncookie_ipv6(packet->ipv6, tcp);
	return false;
}

/*
 * What the SYN proxy does with a segment.
 *
 * REASON_SYN_ANSWERED: it is to be answered.
 *
 * Global, as `answer_syn`: the verifier of the kernel looks at it once,
 * whatever headers come before.
 */
__noinline __u32 proxied(struct xdp_md *ctx, const struct places *given)
{
	struct places places;
	struct packet packet = {};
	__u32 syns_per_second;
	struct tcphdr *tcp;

	if (!given)
		return REASON_NONE;
	places = *given;
	if (!find_headers(ctx, &places, &packet))
		return REASON_NONE;
	tcp = packet.transport;
	if ((void *)(tcp + 1) > packet.end)
		return REASON_NONE;
	if (tcp->rst || tcp->syn == tcp->ack)
		return REASON_NONE;
	/* Only the socket tells the ACK of a handshake from all others. */
	if (tcp->ack && !(check_cookies && check_sockets))
		return REASON_NONE;
	syns_per_second = protection(&packet, tcp);
	if (!syns_per_second)
		return REASON_NONE;
	/* Connections that are there, or were a moment ago, are the kernel's.
	 */
	if (check_sockets && socket_state(ctx, &packet, tcp) != BPF_TCP_LISTEN)
		return REASON_NONE;
	if (tcp->ack)
		return has_cookie(&packet, tcp) ? REASON_COOKIE
						: REASON_NO_COOKIE;
	if (is_left_to_kernel(&packet, tcp, syns_per_second))
		return REASON_SYN_LEFT;
	return is_plain(&places) ? REASON_SYN_ANSWERED : REASON_SYN_ODD;
}

/* What the lists say. */
static __always_inline enum reason listed(const struct packet *packet)
{
	struct sender sender = sender_of(packet);
	bool is_ipv6 = packet->ipv6;

	switch (by_senders(is_ipv6, &sender)) {
	case TREATMENT_ALLOW:
		return REASON_ALLOWED;
	case TREATMENT_BLOCK:
		return REASON_BLOCKED;
	case TREATMENT_NONE:
		break;
	}
	switch (by_feed(is_ipv6, &sender)) {
	case TREATMENT_ALLOW:
		return REASON_ALLOWED;
	case TREATMENT_BLOCK:
		return REASON_FEED;
	case TREATMENT_NONE:
		break;
	}
	return REASON_NONE;
}

/* What checks and bounds say of a source that no list names. */
static __always_inline enum reason checked(const struct packet *packet,
					   __u64 bytes)
{
	struct in6_addr source;
	enum reason reason;
	__u64 now_ns = 0;
	struct tcphdr *tcp;

	if (blocks_automatically()) {
		source = whole_source(packet);
		now_ns = bpf_ktime_get_coarse_ns();
		if (is_blocked(&source, now_ns))
			return REASON_AUTOMATIC;
	}
	reason = wrong_form(packet);
	if (reason == REASON_NONE)
		reason = wrong_source(packet);
	if (reason == REASON_NONE && is_amplified(packet))
		reason = REASON_AMPLIFIER;
	if (reason != REASON_NONE || !blocks_automatically())
		return reason;
	tcp = tcp_of(packet);
	if (is_too_much(&source, now_ns, bytes, tcp && tcp->syn && !tcp->ack))
		return REASON_AUTOMATIC;
	return REASON_NONE;
}

static __always_inline enum reason judged(struct xdp_md *ctx,
					  struct packet *packet, __u64 bytes)
{
	struct places places;
	enum reason reason;

	switch (read_packet(ctx, packet)) {
	case PACKET_OTHER:
		return REASON_OTHER;
	case PACKET_MALFORMED:
		return check_header ? REASON_HEADER : REASON_OTHER;
	case PACKET_IP:
		break;
	}
	places = places_of(ctx, packet);
	if (!find_headers(ctx, &places, packet))
		return REASON_HEADER;
	reason = listed(packet);
	if (reason == REASON_NONE)
		reason = checked(packet, bytes);
	if (reason == REASON_NONE && syn_proxy && tcp_of(packet))
		reason = proxied(ctx, &places);
	/* What this makes of the frame ends all pointers into it. */
	if (syn_proxy && reason == REASON_SYN_ANSWERED &&
	    !answer_syn(ctx, places.ip_at, places.is_ipv6))
		reason = REASON_SYN_ODD;
	return reason;
}

static __always_inline void count(enum reason reason, __u64 bytes)
{
	__u32 slot = reason;
	struct traffic *traffic = bpf_map_lookup_elem(&reasons, &slot);

	if (!traffic)
		return;
	traffic->packets += 1;
	traffic->bytes += bytes;
}

SEC("xdp")
int ddos_guard(struct xdp_md *ctx)
{
	struct packet packet = {};
	__u64 bytes =
		distance((void *)(long)ctx->data, (void *)(long)ctx->data_end);
	enum reason reason = judged(ctx, &packet, bytes);

	count(reason, bytes);
	if (reason == REASON_SYN_ANSWERED)
		return XDP_TX;
	return reason < REASON_BLOCKED ? XDP_PASS : XDP_DROP;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
