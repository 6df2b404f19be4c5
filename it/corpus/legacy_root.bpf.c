// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The beginning of a chain in the old way, as if it were a member: a section
 * that no loader knows, and an array that others were to be written to.
 */
#include "corpus.h"

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} corpus_root_array SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} corpus_root_stats SEC(".maps");

SEC("xdp-root")
int legacy_root(struct xdp_md *context)
{
	__u32 key = 0;
	__u64 *seen = bpf_map_lookup_elem(&corpus_root_stats, &key);

	if (seen)
		++*seen;
	bpf_tail_call(context, &corpus_root_array, 0);
	return judge(context);
}
