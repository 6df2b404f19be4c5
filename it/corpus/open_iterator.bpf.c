// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A loop over an open-coded iterator, which lives on the stack and must be
 * destroyed on every way out.
 */
#include "packet.h"

struct bpf_iter_num {
	__u64 opaque[1];
} __attribute__((aligned(8)));

SEC("xdp")
int open_iterator(struct xdp_md *ctx)
{
	__u8 *start = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end;
	__u32 sum = 0;
	int i;

	if ((void *)(start + 14) > end)
		return XDP_ABORTED;
	bpf_for(i, 0, 100)
	{
		__u8 *at = start + i;

		if (i < 0 || i > 100 || (void *)(at + 1) > end)
			break;
		if (*at == 0xAA)
			return XDP_TX;
		sum += *at;
	}
	start[1] = sum;
	return sum & 1 ? XDP_DROP : XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
