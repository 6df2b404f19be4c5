// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* One stage with the chaining written by hand, the way of l3afd. */
#include "stage.h"

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} next_prog_array SEC(".maps");

SEC("xdp")
int stage(struct xdp_md *context)
{
	void *data = (void *)(long)context->data;
	void *end = (void *)(long)context->data_end;

	if (!look(data, end, 0))
		return XDP_DROP;
	bpf_tail_call(context, &next_prog_array, 0);
	return XDP_PASS;
}
