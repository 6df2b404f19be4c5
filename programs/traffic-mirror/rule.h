/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which flows are copied: a list of rules, of which the first that fits counts.
 */
#ifndef __RULE_H__
#define __RULE_H__

#include "flow.h"

#define MAX_RULES 64

enum rule_action {
	/* Where nothing is said: the list ends here. */
	RULE_END = 0,
	RULE_MIRROR = 1,
	RULE_SKIP = 2,
};

enum sample_unit {
	SAMPLE_PACKETS = 0,
	SAMPLE_FLOWS = 1,
};

struct prefix_ipv4 {
	__u32 bits;
	__be32 address;
};

struct prefix_ipv6 {
	__u32 bits;
	__be32 address[4];
};

struct rule {
	struct prefix_ipv4 source_ipv4;
	struct prefix_ipv4 destination_ipv4;
	struct prefix_ipv6 source_ipv6;
	struct prefix_ipv6 destination_ipv6;
	__u32 sample;
	__u16 first_source_port;
	__u16 last_source_port;
	__u16 first_destination_port;
	__u16 last_destination_port;
	__u16 vlan;
	__u8 action;
	__u8 protocol;
	__u8 target;
	__u8 sample_of;
	bool both_ways;
	__u8 reserved;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_RULES);
	__type(key, __u32);
	__type(value, struct rule);
} mirror_rules SEC(".maps");

/* The first bits of a word in network order, as a mask. */
static __always_inline __be32 mask_of(__u32 bits)
{
	if (bits >= 32)
		return ~0U;
	return bits ? bpf_htonl(~0U << (32 - bits)) : 0;
}

static __always_inline bool has_ipv4(const struct prefix_ipv4 *prefix,
				     const struct end *end)
{
	__be32 address = end->address.in6_u.u6_addr32[3];

	return !((address ^ prefix->address) & mask_of(prefix->bits));
}

static __always_inline bool has_ipv6(const struct prefix_ipv6 *prefix,
				     const struct end *end)
{
	__be32 difference = 0;

	for (__u32 i = 0; i < 4; i++) {
		__u32 before = i * 32;
		__u32 bits = prefix->bits > before ? prefix->bits - before : 0;

		difference |=
			(end->address.in6_u.u6_addr32[i] ^ prefix->address[i]) &
			mask_of(bits);
	}
	return !difference;
}

/* A rule with prefixes of one family only is not for the other. */
static __always_inline bool has_addresses(const struct rule *rule,
					  const struct flow *flow,
					  const struct end *source,
					  const struct end *destination)
{
	bool names_ipv4 = rule->source_ipv4.bits | rule->destination_ipv4.bits;
	bool names_ipv6 = rule->source_ipv6.bits | rule->destination_ipv6.bits;

	if (flow->is_ipv4)
		return (names_ipv4 || !names_ipv6) &&
		       has_ipv4(&rule->source_ipv4, source) &&
		       has_ipv4(&rule->destination_ipv4, destination);
	return (names_ipv6 || !names_ipv4) &&
	       has_ipv6(&rule->source_ipv6, source) &&
	       has_ipv6(&rule->destination_ipv6, destination);
}

static __always_inline bool has_ports(const struct rule *rule,
				      const struct flow *flow,
				      const struct end *source,
				      const struct end *destination)
{
	if (!flow->has_ports)
		return !rule->first_source_port &&
		       !rule->first_destination_port &&
		       rule->last_source_port == 65535 &&
		       rule->last_destination_port == 65535;
	return source->port >= rule->first_source_port &&
	       source->port <= rule->last_source_port &&
	       destination->port >= rule->first_destination_port &&
	       destination->port <= rule->last_destination_port;
}

static __always_inline bool fits_way(const struct rule *rule,
				     const struct flow *flow,
				     const struct end *source,
				     const struct end *destination)
{
	return has_ports(rule, flow, source, destination) &&
	       has_addresses(rule, flow, source, destination);
}

/* Global, so that the verifier looks at it once and not for each rule. */
__noinline int fits(const struct rule *rule, const struct flow *flow)
{
	if (!rule || !flow)
		return false;
	if (rule->protocol && rule->protocol != flow->protocol)
		return false;
	if (rule->vlan && rule->vlan != flow->vlan)
		return false;
	if (fits_way(rule, flow, &flow->source, &flow->destination))
		return true;
	return rule->both_ways &&
	       fits_way(rule, flow, &flow->destination, &flow->source);
}

/* The number of the first rule that a flow fits; MAX_RULES if none does. */
__noinline int rule_of(const struct flow *flow)
{
	for (__u32 i = 0; i < MAX_RULES; i++) {
		__u32 key = i;
		const struct rule *rule =
			bpf_map_lookup_elem(&mirror_rules, &key);

		if (!rule || rule->action == RULE_END)
			break;
		if (fits(rule, flow))
			return i;
	}
	return MAX_RULES;
}

/* Looks random, and is the same for both directions. */
static __always_inline __u32 stir(__u32 hash, __u32 one, __u32 other)
{
	hash = (hash + (one ^ other)) * 0x9e3779b1;
	hash = ((hash ^ (hash >> 15)) + one + other) * 0x85ebca77;
	return hash ^ (hash >> 13);
}

/* The same for all packets of a flow, in both directions. */
static __always_inline __u32 flow_hash(const struct flow *flow)
{
	const struct in6_addr *one = &flow->source.address;
	const struct in6_addr *other = &flow->destination.address;
	__u32 hash = flow->protocol;

	for (int i = 0; i < 4; i++)
		hash = stir(hash, one->in6_u.u6_addr32[i],
			    other->in6_u.u6_addr32[i]);
	/* Only the first fragment has ports, and all are of one flow. */
	if (!flow->is_fragment)
		hash = stir(hash, flow->source.port, flow->destination.port);
	return hash;
}

/* Whether this one of the packets that fit a rule is copied. */
static __always_inline bool is_chosen(const struct rule *rule,
				      const struct flow *flow)
{
	__u32 number;

	if (rule->sample <= 1)
		return true;
	number = rule->sample_of == SAMPLE_FLOWS ? flow_hash(flow)
						 : bpf_get_prandom_u32();
	return number % rule->sample == 0;
}

#endif
