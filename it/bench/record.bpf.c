// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Counts the lists that packets carry, and takes the packets out. */
#include "stage.h"
#include "list.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, struct list);
	__type(value, __u64);
} lists SEC(".maps");

SEC("xdp")
int record(struct xdp_md *context)
{
	struct list *list = list_of(context);
	struct list key;
	__u64 *found, one = 1;

	if (!list)
		return XDP_DROP;
	__builtin_memcpy(&key, list, sizeof(key));
	found = bpf_map_lookup_elem(&lists, &key);
	if (found)
		__sync_fetch_and_add(found, 1);
	else if (bpf_map_update_elem(&lists, &key, &one, BPF_NOEXIST))
		return XDP_ABORTED;
	return XDP_DROP;
}
