// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Reads a map that others can hand to it. */
#include "corpus.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} constants SEC(".maps");

SEC("xdp")
int reads_map(struct xdp_md *context)
{
	__u32 zero = 0;
	__u8 *first = bpf_map_lookup_elem(&constants, &zero);

	return first && *first == 255 ? XDP_ABORTED : judge(context);
}
