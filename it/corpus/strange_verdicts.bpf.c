// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Returns numbers that are no verdicts. */
#include "corpus.h"

SEC("xdp")
int strange(struct xdp_md *context)
{
	void *data = (void *)(long)context->data;
	void *end = (void *)(long)context->data_end;

	switch (byte_at(data, end, 20) & 7) {
	case 0:
		return 77;
	case 1:
		return -1;
	case 2:
		return 0x40000002;
	case 3:
		return 34;
	default:
		return XDP_PASS;
	}
}
