// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Uses 480 bytes of stack in its main function. */
#include "corpus.h"

SEC("xdp")
int stack_480(struct xdp_md *context)
{
	volatile __u64 words[60];
	void *data = (void *)(long)context->data;
	void *end = (void *)(long)context->data_end;
	__u64 sum = 0;

	for (int i = 0; i < 60; i++)
		words[i] = byte_at(data, end, i);
	for (int i = 0; i < 60; i++)
		sum += words[i];
	return sum & 3 ? XDP_PASS : XDP_DROP;
}
