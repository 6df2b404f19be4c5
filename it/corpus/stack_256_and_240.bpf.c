// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Uses 256 bytes of stack, and 240 more in a subprogram. */
#include "corpus.h"

static __noinline __u64 fold(struct xdp_md *context)
{
	void *data = (void *)(long)context->data;
	void *end = (void *)(long)context->data_end;
	volatile __u64 words[30];
	__u64 sum = 0;

	for (int i = 0; i < 30; i++)
		words[i] = byte_at(data, end, i);
	for (int i = 0; i < 30; i++)
		sum ^= words[i];
	return sum;
}

SEC("xdp")
int stacks(struct xdp_md *context)
{
	volatile __u64 words[32];
	__u64 sum = 0;

	for (int i = 0; i < 32; i++)
		words[i] = i;
	sum = fold(context);
	for (int i = 0; i < 32; i++)
		sum += words[i];
	return sum & 3 ? XDP_PASS : XDP_DROP;
}
