/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Who is let through and who is not, by source address.
 *
 * A trie finds a prefix among a million in dozens of steps, each likely a miss
 * of the cache; a hash finds an address in two. So lists have hosts, which are
 * what long lists are made of, in a hash and prefixes in tries, and a trie in
 * which there is nothing is left at once.
 */
#ifndef __LISTS_H__
#define __LISTS_H__

#include "../include/packet.h"

#define MAX_SENDERS  65536
#define MAX_HOSTS    (2 * 1024 * 1024)
#define MAX_NETWORKS (2 * 1024 * 1024)

enum treatment {
	TREATMENT_NONE,
	TREATMENT_ALLOW,
	TREATMENT_BLOCK,
};

/* The list of the feed that counts. */
enum feed_list {
	FEED_NONE,
	FEED_A,
	FEED_B,
};

struct ipv4_prefix {
	__u32 bits;
	__be32 address;
};

struct ipv6_prefix {
	__u32 bits;
	struct in6_addr address;
};

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, MAX_SENDERS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct ipv4_prefix);
	__type(value, __u32);
} senders_ipv4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, MAX_SENDERS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct ipv6_prefix);
	__type(value, __u32);
} senders_ipv6 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} feed SEC(".maps");

struct hosts {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_HOSTS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct in6_addr);
	__type(value, __u32);
} hosts_a SEC(".maps"), hosts_b SEC(".maps");

struct networks_ipv4 {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, MAX_NETWORKS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct ipv4_prefix);
	__type(value, __u32);
} networks_ipv4_a SEC(".maps"), networks_ipv4_b SEC(".maps");

struct networks_ipv6 {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, MAX_NETWORKS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct ipv6_prefix);
	__type(value, __u32);
} networks_ipv6_a SEC(".maps"), networks_ipv6_b SEC(".maps");

/* What the longest prefix says of an address of the packet. */
static __always_inline enum treatment by_prefix(void *ipv4, void *ipv6,
						const struct packet *packet)
{
	__u32 *found;

	if (packet->ipv4) {
		struct ipv4_prefix key = {32, packet->ipv4->saddr};

		found = bpf_map_lookup_elem(ipv4, &key);
	} else {
		struct ipv6_prefix key = {128, packet->ipv6->saddr};

		found = bpf_map_lookup_elem(ipv6, &key);
	}
	return found ? *found : TREATMENT_NONE;
}

/* What one list of the feed says. */
static __always_inline enum treatment
by_list(void *hosts, void *ipv4, void *ipv6, const struct packet *packet)
{
	struct in6_addr source;
	__u32 *found;

	if (packet->ipv4)
		map_ipv4(packet->ipv4->saddr, &source);
	else
		source = packet->ipv6->saddr;
	found = bpf_map_lookup_elem(hosts, &source);
	return found ? *found : by_prefix(ipv4, ipv6, packet);
}

/* What the feed says: one list or the other, which is read once. */
static __always_inline enum treatment by_feed(const struct packet *packet)
{
	__u32 zero = 0;
	__u32 *list = bpf_map_lookup_elem(&feed, &zero);

	switch (list ? *(volatile __u32 *)list : FEED_NONE) {
	case FEED_A:
		return by_list(&hosts_a, &networks_ipv4_a, &networks_ipv6_a,
			       packet);
	case FEED_B:
		return by_list(&hosts_b, &networks_ipv4_b, &networks_ipv6_b,
			       packet);
	default:
		return TREATMENT_NONE;
	}
}

#endif
