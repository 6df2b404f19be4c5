/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Instructions and functions that old kernels do not have. */
#include "bpf.h"

extern int bpf_xdp_metadata_rx_hash(const struct xdp_md *ctx, __u32 *hash, __u32 *kind)
	__attribute__((section(".ksyms")));
extern int bpf_xdp_metadata_rx_timestamp(const struct xdp_md *ctx, __u64 *at)
	__attribute__((weak, section(".ksyms")));

signed char small;
__u64 total;

SEC("xdp.frags") int newest(struct xdp_md *ctx)
{
	__u32 hash = 0, kind = 0;
	__u64 at = 0;

	__sync_fetch_and_add(&total, small);
	if (&bpf_xdp_metadata_rx_timestamp)
		bpf_xdp_metadata_rx_timestamp(ctx, &at);
	bpf_xdp_metadata_rx_hash(ctx, &hash, &kind);
	return __sync_fetch_and_add(&total, hash + at) ? 1 : 2;
}

char LICENSE[] SEC("license") = "Proprietary";
