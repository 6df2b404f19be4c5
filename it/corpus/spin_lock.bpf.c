// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Counts under a lock in a map value. */
#include "corpus.h"

struct entry {
	struct bpf_spin_lock lock;
	__u32 count;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 256);
	__type(key, __u32);
	__type(value, struct entry);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} entries SEC(".maps");

SEC("xdp")
int locks(struct xdp_md *context)
{
	void *data = (void *)(long)context->data;
	void *end = (void *)(long)context->data_end;
	__u32 key = byte_at(data, end, 11), count;
	struct entry *entry = bpf_map_lookup_elem(&entries, &key);
	struct entry fresh = {};

	if (!entry) {
		bpf_map_update_elem(&entries, &key, &fresh, BPF_ANY);
		return XDP_PASS;
	}
	bpf_spin_lock(&entry->lock);
	count = ++entry->count;
	bpf_spin_unlock(&entry->lock);
	return count & 1 ? XDP_DROP : XDP_PASS;
}
