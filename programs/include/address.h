/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Addresses as keys: those of IPv6, and those of IPv4 mapped into it.
 */
#ifndef __ADDRESS_H__
#define __ADDRESS_H__

#include "vmlinux.h"
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

/* Nobody outside knows it. It is kept with the tables that were filled by it.
 */
__u32 seed;

static __always_inline __u32 rotated(__u32 word, int bits)
{
	return word << bits | word >> (32 - bits);
}

/*
 * Jenkins' hash with a seed, as the kernel's own tables have it: nobody can
 * choose whom to collide with.
 */
static __always_inline __u32 hash(const struct in6_addr *address, __u32 rest)
{
	const __be32 *words = address->in6_u.u6_addr32;
	__u32 a, b, c;

	if (!seed)
		seed = bpf_get_prandom_u32() | 1;
	a = words[0] + seed;
	b = words[1] + seed;
	c = words[2] + seed;
	a -= c, a ^= rotated(c, 4), c += b;
	b -= a, b ^= rotated(a, 6), a += c;
	c -= b, c ^= rotated(b, 8), b += a;
	a -= c, a ^= rotated(c, 16), c += b;
	b -= a, b ^= rotated(a, 19), a += c;
	c -= b, c ^= rotated(b, 4), b += a;
	a += words[3];
	b += rest;
	c ^= b, c -= rotated(b, 14);
	a ^= c, a -= rotated(c, 11);
	b ^= a, b -= rotated(a, 25);
	c ^= b, c -= rotated(b, 16);
	a ^= c, a -= rotated(c, 4);
	b ^= a, b -= rotated(a, 14);
	c ^= b, c -= rotated(b, 24);
	return c;
}

static __always_inline bool is_same(const struct in6_addr *one,
				    const struct in6_addr *other)
{
	const __be32 *ours = one->in6_u.u6_addr32;
	const __be32 *theirs = other->in6_u.u6_addr32;

	return ours[3] == theirs[3] && ours[2] == theirs[2] &&
	       ours[1] == theirs[1] && ours[0] == theirs[0];
}

/* Leaves the first bits of an address. */
static __always_inline void mask(struct in6_addr *address, __u32 bits)
{
	for (int i = 0; i < 4; i++) {
		__u32 first = i * 32;
		__u32 kept = bits > first ? bits - first : 0;

		if (kept == 0)
			address->in6_u.u6_addr32[i] = 0;
		else if (kept < 32)
			address->in6_u.u6_addr32[i] &=
				bpf_htonl(~0U << (32 - kept));
	}
}

#endif
