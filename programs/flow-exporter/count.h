/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Counts packets in the flow table whose turn it is. */
#ifndef __COUNT_H__
#define __COUNT_H__

#include "maps.h"

static __always_inline struct flow_counts *find(__u64 turn,
						const struct flow_key *key)
{
	if (turn & 1)
		return bpf_map_lookup_elem(&flows_odd, key);
	return bpf_map_lookup_elem(&flows_even, key);
}

static __always_inline long add(__u64 turn, const struct flow_key *key,
				const struct flow_counts *counts)
{
	if (turn & 1)
		return bpf_map_update_elem(&flows_odd, key, counts,
					   BPF_NOEXIST);
	return bpf_map_update_elem(&flows_even, key, counts, BPF_NOEXIST);
}

/* False where there is no room for another flow. */
static __always_inline bool count(const struct flow_note *note,
				  struct flow_metering *metering)
{
	struct flow_counts *found = find(note->turn, &note->key);
	__u64 now_ns = bpf_ktime_get_coarse_ns();
	__u32 flags = note->tcp_flags;

	if (!found) {
		struct flow_counts counts = {
			.first_ns = now_ns,
			.last_ns = now_ns,
			.packets = note->packets,
			.bytes = note->bytes,
			.tcp_flags = flags,
		};

		if (!add(note->turn, &note->key, &counts)) {
			metering->flows++;
			return true;
		}
		/* Another processor may have been first. */
		found = find(note->turn, &note->key);
		if (!found)
			return false;
	}
	found->last_ns = now_ns;
	__sync_fetch_and_add(&found->packets, note->packets);
	__sync_fetch_and_add(&found->bytes, note->bytes);
	if (flags & ~*(volatile __u32 *)&found->tcp_flags)
		__sync_fetch_and_or(&found->tcp_flags, flags);
	return true;
}

#endif
