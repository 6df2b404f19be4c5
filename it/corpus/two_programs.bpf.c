// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Two programs of one object share a map. */
#include "corpus.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} count SEC(".maps");

static __always_inline int every(int period, struct xdp_md *context)
{
	__u32 key = 0;
	__u64 *value = bpf_map_lookup_elem(&count, &key);

	if (!value)
		return XDP_ABORTED;
	return ++*value % period ? judge(context) : XDP_DROP;
}

SEC("xdp")
int every_third(struct xdp_md *context)
{
	return every(3, context);
}

SEC("xdp")
int every_fifth(struct xdp_md *context)
{
	return every(5, context);
}
