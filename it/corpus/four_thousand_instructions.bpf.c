// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Has more than four thousand instructions. */
#include "corpus.h"

#define STEP                                                                   \
	hash = (hash ^ byte_at(data, end, hash & 31)) * 0x193;                 \
	hash ^= hash >> 7;
#define TEN(X) X X X X X X X X X X

SEC("xdp")
int long_program(struct xdp_md *context)
{
	void *data = (void *)(long)context->data;
	void *end = (void *)(long)context->data_end;
	__u32 hash = 7;

	TEN(TEN(STEP))
	TEN(TEN(STEP))
	TEN(TEN(STEP)) TEN(TEN(STEP)) return hash & 3 ? XDP_PASS : XDP_DROP;
}
