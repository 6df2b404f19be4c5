// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The program returns 64 bits, of which the kernel looks at the lower half
 * only.
 */
#include "packet.h"

SEC("xdp")
long long_return(struct xdp_md *ctx)
{
	struct ethhdr *ethernet = (void *)(long)ctx->data;
	__u64 bytes = ctx->data_end - ctx->data;

	if ((void *)(ethernet + 1) > (void *)(long)ctx->data_end)
		return 0x700000000 | XDP_TX;
	ethernet->h_source[2] = bytes;
	switch (ethernet->h_proto) {
	case bpf_htons(ETH_P_IP):
		return (bytes << 32) | XDP_PASS;
	case bpf_htons(ETH_P_IPV6):
		return ~0xFFFFFFFFULL | XDP_DROP;
	default:
		return bytes & 1 ? XDP_DROP : XDP_PASS;
	}
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
