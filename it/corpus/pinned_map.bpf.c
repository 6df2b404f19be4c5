// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A hash map that is pinned by its name, so that two loads of the object share
 * it.
 */
#include "packet.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, __u64);
	__type(value, __u32);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} corpus_pinned_senders SEC(".maps");

SEC("xdp")
int pinned_map(struct xdp_md *ctx)
{
	__u32 bytes = ctx->data_end - ctx->data;
	__u8 *at = (void *)(long)ctx->data;
	__u32 *before;
	__u64 key = 0;

	if ((void *)(at + 14) > (void *)(long)ctx->data_end)
		return XDP_ABORTED;
	__builtin_memcpy(&key, at + ETH_ALEN, ETH_ALEN);
	before = bpf_map_lookup_elem(&corpus_pinned_senders, &key);
	if (!before) {
		bpf_map_update_elem(&corpus_pinned_senders, &key, &bytes,
				    BPF_ANY);
		return bytes & 1 ? XDP_DROP : XDP_PASS;
	}
	at[0] ^= *before;
	if (*before == bytes)
		return XDP_TX;
	*before = bytes;
	return XDP_DROP;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
