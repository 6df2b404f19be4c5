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

#define MAX_SENDERS    65536
#define MAX_IPV4_HOSTS (2 * 1024 * 1024)
#define MAX_IPV6_HOSTS (256 * 1024)
#define MAX_NETWORKS   (2 * 1024 * 1024)

/* Whether there are prefixes as well: two lookups less where there are none. */
const volatile bool prefix_lists = true;

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

struct hosts_ipv4 {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_IPV4_HOSTS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __be32);
	__type(value, __u32);
} hosts_ipv4_a SEC(".maps"), hosts_ipv4_b SEC(".maps");

struct hosts_ipv6 {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_IPV6_HOSTS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct in6_addr);
	__type(value, __u32);
} hosts_ipv6_a SEC(".maps"), hosts_ipv6_b SEC(".maps");

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

static __always_inline enum treatment said(const __u32 *found)
{
	return found ? *found : TREATMENT_NONE;
}

/* What the longest prefix says of a source. */
static __always_inline enum treatment by_prefix_ipv4(void *prefixes,
						     __be32 source)
{
	struct ipv4_prefix key = {32, source};

	return said(bpf_map_lookup_elem(prefixes, &key));
}

static __always_inline enum treatment
by_prefix_ipv6(void *prefixes, const struct in6_addr *source)
{
	struct ipv6_prefix key = {128, *source};

	return said(bpf_map_lookup_elem(prefixes, &key));
}

/* What one list of the feed says: of the address itself, else of a prefix. */
static __always_inline enum treatment by_list_ipv4(void *hosts, void *networks,
						   __be32 source)
{
	__u32 *found = bpf_map_lookup_elem(hosts, &source);

	return found ? *found : by_prefix_ipv4(networks, source);
}

static __always_inline enum treatment
by_list_ipv6(void *hosts, void *networks, const struct in6_addr *address)
{
	struct in6_addr source = *address;
	__u32 *found = bpf_map_lookup_elem(hosts, &source);

	return found ? *found : by_prefix_ipv6(networks, &source);
}

/* The list of the feed that counts for a packet: it is read once. */
static __always_inline enum feed_list feed_list(void)
{
	__u32 zero = 0;
	__u32 *list = bpf_map_lookup_elem(&feed, &zero);

	return list ? *(volatile __u32 *)list : FEED_NONE;
}

static __always_inline enum treatment by_feed_ipv4(__be32 source)
{
	switch (feed_list()) {
	case FEED_A:
		return by_list_ipv4(&hosts_ipv4_a, &networks_ipv4_a, source);
	case FEED_B:
		return by_list_ipv4(&hosts_ipv4_b, &networks_ipv4_b, source);
	default:
		return TREATMENT_NONE;
	}
}

static __always_inline enum treatment
by_feed_ipv6(const struct in6_addr *source)
{
	switch (feed_list()) {
	case FEED_A:
		return by_list_ipv6(&hosts_ipv6_a, &networks_ipv6_a, source);
	case FEED_B:
		return by_list_ipv6(&hosts_ipv6_b, &networks_ipv6_b, source);
	default:
		return TREATMENT_NONE;
	}
}

#endif
