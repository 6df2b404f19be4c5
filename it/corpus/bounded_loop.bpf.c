// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Walks over the packet in a loop that the compiler leaves as one. */
#include "corpus.h"

SEC("xdp")
int walks(struct xdp_md *context)
{
	__u8 *end = (void *)(long)context->data_end;
	__u8 *at = (void *)(long)context->data;
	__u32 sum = 0;

#pragma clang loop unroll(disable)
	for (int i = 0; i < 200; i++) {
		if (at + 1 > end)
			break;
		sum += *at++;
	}
	return sum & 3 ? XDP_PASS : XDP_DROP;
}
