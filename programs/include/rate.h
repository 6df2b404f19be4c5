/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Rates of several things at once, by the generic cell rate algorithm (ITU-T
 * I.371, annex A) in its form as a virtual schedule: for each thing, the time
 * when the next unit of it would be due if all came evenly spaced. Nothing has
 * to be filled up as time goes by, and what is due in the past is the same as
 * what was never used.
 *
 * Times are nanoseconds of CLOCK_MONOTONIC and parts of one, so that rates of
 * hundreds of gigabits are exact for the smallest packets.
 */
#ifndef __RATE_H__
#define __RATE_H__

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#define NANOSECONDS 1000000000ULL
#define PARTS	    256

/* What has a rate. */
enum meter {
	CONNECTIONS,
	PACKETS,
	BYTES,
	METERS
};

struct charge {
	/* In parts of a nanosecond; 0 where there is no limit. */
	__u64 cost[METERS];
	/* How far ahead of its time it may be. */
	__u64 slack_ns[METERS];
};

/*
 * What so many units cost at a rate in units a second, of which `most` may come
 * at once after a quiet time (0: as many as in a second). What is more than
 * that in itself may come when nothing is owed.
 */
static __always_inline void charge_units(struct charge *charge,
					 enum meter meter, __u64 units,
					 __u64 rate, __u64 most)
{
	__u64 cost, slack_ns = 0;

	/* Rounded up, so that the rate is never above what was asked for. */
	cost = (units * NANOSECONDS * PARTS + rate - 1) / rate;
	if (most > units)
		slack_ns = ((most - units) * NANOSECONDS + rate - 1) / rate;
	else if (!most && cost / PARTS < NANOSECONDS)
		slack_ns = NANOSECONDS - cost / PARTS;
	charge->cost[meter] = cost;
	charge->slack_ns[meter] = slack_ns;
}

/* The first thing of which there are too many, or METERS. */
static __always_inline int exceeded(const __u64 *due_ns,
				    const struct charge *charge, __u64 now_ns)
{
#pragma unroll
	for (int i = 0; i < METERS; i++) {
		__u64 due = *(const volatile __u64 *)&due_ns[i];

		if (charge->cost[i] && due > now_ns + charge->slack_ns[i])
			return i;
	}
	return METERS;
}

/* What was not exceeded moves on by what it costs. */
static __always_inline void pay(__u64 *due_ns, __u8 *due_parts,
				const struct charge *charge, __u64 now_ns)
{
#pragma unroll
	for (int i = 0; i < METERS; i++) {
		__u64 parts = charge->cost[i];

		if (!parts)
			continue;
		if (due_ns[i] < now_ns)
			due_ns[i] = now_ns;
		else
			parts += due_parts[i];
		due_ns[i] += parts / PARTS;
		due_parts[i] = parts % PARTS;
	}
}

#endif
