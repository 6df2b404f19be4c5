/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What probes count in. Each processor has numbers of its own, which whoever
 * reads them adds up.
 */
#ifndef __COUNTS_H__
#define __COUNTS_H__

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

/* Up to 1 us, and each one reaches twice as far; the last one is for all from
 * 8 s on. */
#define TIME_BUCKETS 24

/* A number. */
struct counter {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
};

/* How many times fell into each bucket. */
struct histogram {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, TIME_BUCKETS);
	__type(key, __u32);
	__type(value, __u64);
};

/* Counts an event that has no room, as nobody read those before. Programs that
 * can sleep share a processor, and so its number. */
static __always_inline void count_lost(void *counter)
{
	__u32 first = 0;
	__u64 *lost = bpf_map_lookup_elem(counter, &first);

	if (lost)
		__sync_fetch_and_add(lost, 1);
}

/* The bucket of a time in microseconds, rounded up: 0 for 0 and 1, n for 2^n to
 * 2^(n+1) - 1. */
static __always_inline __u32 bucket_of(__u64 time_ns)
{
	__u64 time_us = (time_ns + 999) / 1000;
	__u32 bucket = 0;

#pragma unroll
	for (int bits = 32; bits; bits /= 2) {
		if (time_us >> bits) {
			time_us >>= bits;
			bucket += bits;
		}
	}
	return bucket < TIME_BUCKETS ? bucket : TIME_BUCKETS - 1;
}

static __always_inline void count_time(void *histogram, __u64 time_ns)
{
	__u32 bucket = bucket_of(time_ns);
	__u64 *times = bpf_map_lookup_elem(histogram, &bucket);

	if (times)
		*times += 1;
}

/*
 * The entry of a table in which programs count, made where there is none. A
 * table that is full has no room for what comes later, which is counted in its
 * entry for others: it is made first of all.
 */
static __always_inline void *count_of(void *table, const void *key,
				      const void *others, const void *zeros)
{
	void *count = bpf_map_lookup_elem(table, key);

	if (count)
		return count;
	bpf_map_update_elem(table, others, zeros, BPF_NOEXIST);
	bpf_map_update_elem(table, key, zeros, BPF_NOEXIST);
	count = bpf_map_lookup_elem(table, key);
	return count ?: bpf_map_lookup_elem(table, others);
}

#endif /* __COUNTS_H__ */
