// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// clang: -mcpu=v4
/*
 * Instructions of the fourth version of the set: signed division, loads that
 * extend the sign, plain byte swaps.
 */
#include "packet.h"

SEC("xdp")
int newest_instructions(struct xdp_md *ctx)
{
	int bytes = ctx->data_end - ctx->data;
	__s8 *at = (void *)(long)ctx->data;
	int sum = 0;

	if ((void *)(at + 14) > (void *)(long)ctx->data_end)
		return XDP_ABORTED;
	for (int i = 0; i < 14; i++)
		sum += at[i] / 3;
	sum -= (__s16)__builtin_bswap16(*(__u16 *)(at + 12));
	at[2] = sum % 7;
	sum = sum / (bytes | 1) + (int)__builtin_bswap32(sum) % 5;
	return sum < 0 ? XDP_DROP : sum & 1 ? XDP_TX : XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
