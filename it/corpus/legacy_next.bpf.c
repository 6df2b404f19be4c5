// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Cooperates in the old way: its own array, pinned by name, which is empty. */
#include "corpus.h"

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} xdp_legacy_next_prog_array SEC(".maps");

SEC("xdp_legacy")
int legacy(struct xdp_md *context)
{
	if (judge(context) == XDP_DROP)
		return XDP_DROP;
	bpf_tail_call(context, &xdp_legacy_next_prog_array, 0);
	return XDP_PASS;
}
