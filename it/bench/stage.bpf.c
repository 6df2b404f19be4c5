// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* One stage, as its author writes it who knows nothing of chains. */
#include "stage.h"

SEC("xdp")
int stage(struct xdp_md *context)
{
	void *data = (void *)(long)context->data;
	void *end = (void *)(long)context->data_end;

	return look(data, end, 0) ? XDP_PASS : XDP_DROP;
}
