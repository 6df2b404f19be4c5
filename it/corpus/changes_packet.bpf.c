// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Pushes four bytes in front of some packets and writes them. */
#include "corpus.h"

SEC("xdp")
int pushes(struct xdp_md *context)
{
	__u8 *data, *end;

	if (judge(context) == XDP_DROP)
		return XDP_DROP;
	if (bpf_xdp_adjust_head(context, -4))
		return XDP_ABORTED;
	data = (void *)(long)context->data;
	end = (void *)(long)context->data_end;
	if (data + 18 > end)
		return XDP_ABORTED;
	__builtin_memmove(data, data + 4, 12);
	data[12] = 0x81;
	data[13] = 0;
	data[14] = 0;
	data[15] = data[11];
	return XDP_PASS;
}
