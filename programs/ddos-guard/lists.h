/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Who is let through and who is not, by source address.
 *
 * A trie finds a prefix among a million in dozens of steps, each likely a miss
 * of the cache; a hash finds an address in two. So lists have hosts, which are
 * what long lists are made of, in a hash and prefixes in tries, and a trie in
 * which there is nothing is not asked.
 */
#ifndef __LISTS_H__
#define __LISTS_H__

#include "../include/packet.h"

#define MAX_SENDERS    65536
#define MAX_IPV4_HOSTS (2 * 1024 * 1024)
#define MAX_IPV6_HOSTS (256 * 1024)
#define MAX_NETWORKS   (2 * 1024 * 1024)

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

/* What the kernel knows of a trie (`kernel/bpf/lpm_trie.c`). */
struct lpm_trie {
	__u64 n_entries;
} __attribute__((preserve_access_index));

/* A source as tries have it; what is behind `bits` is how hashes have it. */
struct sender {
	__u32 bits;
	union {
		__be32 ipv4;
		struct in6_addr ipv6;
	} address;
};

static __always_inline struct sender sender_of(const struct packet *packet)
{
	struct sender sender = {};

	if (packet->ipv4) {
		sender.bits = 32;
		sender.address.ipv4 = packet->ipv4->saddr;
	} else if (packet->ipv6) {
		sender.bits = 128;
		sender.address.ipv6 = packet->ipv6->saddr;
	}
	return sender;
}

static __always_inline enum treatment said(const __u32 *found)
{
	return found ? *found : TREATMENT_NONE;
}

/* What the longest prefix says. To look at a number costs less than a call. */
static __always_inline enum treatment by_prefix(void *prefixes,
						const struct sender *sender)
{
	if (!((const struct lpm_trie *)prefixes)->n_entries)
		return TREATMENT_NONE;
	return said(bpf_map_lookup_elem(prefixes, sender));
}

/* What one list of the feed says: of the address itself, else of a prefix. */
static __always_inline enum treatment by_list(void *hosts, void *networks,
					      const struct sender *sender)
{
	__u32 *found = bpf_map_lookup_elem(hosts, &sender->address);

	return found ? *found : by_prefix(networks, sender);
}

/* The list of the feed that counts for a packet: it is read once. */
static __always_inline enum feed_list feed_list(void)
{
	__u32 zero = 0;
	__u32 *list = bpf_map_lookup_elem(&feed, &zero);

	return list ? *(volatile __u32 *)list : FEED_NONE;
}

static __always_inline enum treatment by_senders(bool is_ipv6,
						 const struct sender *sender)
{
	return is_ipv6 ? by_prefix(&senders_ipv6, sender)
		       : by_prefix(&senders_ipv4, sender);
}

static __always_inline enum treatment by_feed(bool is_ipv6,
					      const struct sender *sender)
{
	switch (feed_list()) {
	case FEED_A:
		return is_ipv6 ? by_list(&hosts_ipv6_a, &networks_ipv6_a,
					 sender)
			       : by_list(&hosts_ipv4_a, &networks_ipv4_a,
					 sender);
	case FEED_B:
		return is_ipv6 ? by_list(&hosts_ipv6_b, &networks_ipv6_b,
					 sender)
			       : by_list(&hosts_ipv4_b, &networks_ipv4_b,
					 sender);
	default:
		return TREATMENT_NONE;
	}
}

#endif
