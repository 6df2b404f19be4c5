// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The main function tail-calls another program of the object. */
#include "corpus.h"

int even(struct xdp_md *context);

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 2);
	__uint(key_size, sizeof(__u32));
	__array(values, int(void *));
} leaves SEC(".maps") = {
	.values = {[0] = (void *)&even},
};

SEC("xdp")
int dispatch(struct xdp_md *context)
{
	void *data = (void *)(long)context->data;
	void *end = (void *)(long)context->data_end;

	/* A tail call may change the packet, so what is read of it is read
	 * before. */
	__u32 other = byte_at(data, end, 20);

	/* Slot 1 is empty. */
	bpf_tail_call(context, &leaves, byte_at(data, end, 11) & 1);
	return other & 1 ? XDP_PASS : XDP_ABORTED;
}

SEC("xdp")
int even(struct xdp_md *context)
{
	return judge(context);
}
