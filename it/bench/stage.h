/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The work of one stage: parse Ethernet and IPv4, count, pass. Every mechanism
 * of the benchmark runs this same work, so that what differs is the mechanism.
 */
#ifndef __STAGE_H__
#define __STAGE_H__

#include "vmlinux.h"
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

/* The packet may have changed since it was last looked at. */
#define barrier() asm volatile("" ::: "memory")

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 32);
	__type(key, __u32);
	__type(value, __u64);
} counts SEC(".maps");

/* Parses and counts; says whether the packet is one. */
static __always_inline bool look(void *data, void *end, __u32 stage)
{
	struct ethhdr *ethernet = data;
	struct iphdr *ip = (void *)(ethernet + 1);
	__u64 *count;

	if ((void *)(ip + 1) > end)
		return false;
	if (ethernet->h_proto != bpf_htons(ETH_P_IP) || ip->version != 4)
		return false;
	count = bpf_map_lookup_elem(&counts, &stage);
	if (count)
		++*count;
	return true;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#endif /* __STAGE_H__ */
