// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A subprogram tail-calls another program of the object. */
#include "corpus.h"

int leaf(struct xdp_md *context);

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 2);
	__uint(key_size, sizeof(__u32));
	__array(values, int(void *));
} leaves SEC(".maps") = {
	.values = {[0] = (void *)&leaf},
};

static __noinline int dispatch(struct xdp_md *context, __u32 slot)
{
	bpf_tail_call(context, &leaves, slot & 1);
	return XDP_PASS;
}

SEC("xdp")
int calls(struct xdp_md *context)
{
	void *data = (void *)(long)context->data;
	void *end = (void *)(long)context->data_end;
	int verdict = dispatch(context, byte_at(data, end, 11));

	return verdict == XDP_PASS ? XDP_PASS : XDP_DROP;
}

SEC("xdp")
int leaf(struct xdp_md *context)
{
	return judge(context);
}
