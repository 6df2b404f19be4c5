// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Writes to the packet through a pointer that was kept in the stack. */
#include "corpus.h"

struct keep {
	__u8 *at;
	__u8 *end;
};

static __noinline int write(struct keep *keep)
{
	if (keep->at + 14 > keep->end)
		return XDP_PASS;
	keep->at[5] ^= keep->at[11];
	return keep->at[11] & 1 ? XDP_PASS : XDP_DROP;
}

SEC("xdp")
int writes(struct xdp_md *context)
{
	struct keep keep = {
		.at = (void *)(long)context->data,
		.end = (void *)(long)context->data_end,
	};

	return write(&keep);
}
