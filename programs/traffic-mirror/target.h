/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What all programs of this package know: where copies go, and how a packet is
 * known for one.
 *
 * A copy carries a mark from when it is made until it leaves the machine, and
 * so is never copied again. Where the mark is lost, as on a way through another
 * network namespace, copies in tunnels are known by where they go.
 */
#ifndef __TARGET_H__
#define __TARGET_H__

#include "../include/packet.h"

#define MAX_TARGETS 8

enum encapsulation {
	ENCAPSULATION_NONE = 0,
	ENCAPSULATION_VXLAN = 1,
	ENCAPSULATION_GENEVE = 2,
	ENCAPSULATION_GRE = 3,
	ENCAPSULATION_GUE = 4,
};

struct target {
	/* IPv4 as ::ffff:0:0/96. */
	struct in6_addr collector;
	struct in6_addr source;
	__u32 encapsulation;
	__u32 interface;
	__u32 vni;
	__u32 length;
	__u16 port;
	__u16 reserved;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_TARGETS);
	__type(key, __u32);
	__type(value, struct target);
} mirror_targets SEC(".maps");

/* The lowest bits tell the target: they are not looked at here. */
const volatile __u32 copy_mark = 0x4d495200;

#define MARK_TARGET (MAX_TARGETS - 1)

static __always_inline bool is_copy(const struct __sk_buff *ctx)
{
	return (ctx->mark & ~MARK_TARGET) == (copy_mark & ~MARK_TARGET);
}

static __always_inline bool is_same(const struct in6_addr *one,
				    const struct in6_addr *other)
{
	__u32 difference = 0;

	for (int i = 0; i < 4; i++)
		difference |=
			one->in6_u.u6_addr32[i] ^ other->in6_u.u6_addr32[i];
	return !difference;
}

static __always_inline bool is_ipv4(const struct in6_addr *address)
{
	return !address->in6_u.u6_addr32[0] && !address->in6_u.u6_addr32[1] &&
	       address->in6_u.u6_addr32[2] == bpf_htonl(0xffff);
}

/* The port that the collector listens at, in network order. */
static __always_inline __be16 tunnel_port(const struct target *target)
{
	if (target->port)
		return bpf_htons(target->port);
	switch (target->encapsulation) {
	case ENCAPSULATION_VXLAN:
		return bpf_htons(4789);
	case ENCAPSULATION_GENEVE:
		return bpf_htons(6081);
	default:
		return bpf_htons(6080);
	}
}

#endif
