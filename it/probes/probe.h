/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the probes of the stories share: a map that counts how often they ran.
 */
#ifndef __PROBE_H__
#define __PROBE_H__

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

/* How often it ran, and what it was told last. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u64);
} hits SEC(".maps");

const volatile __u32 weight = 1;

static __always_inline int hit(__u64 told, int verdict)
{
	__u32 first = 0, second = 1;
	__u64 *count = bpf_map_lookup_elem(&hits, &first);
	__u64 *last = bpf_map_lookup_elem(&hits, &second);

	if (count)
		__sync_fetch_and_add(count, weight);
	if (last)
		*last = told;
	return verdict;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#endif /* __PROBE_H__ */
