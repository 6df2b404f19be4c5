// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Cooperates in the old way at TC: two ways to its array, which is empty. */
#include "corpus.h"

#define TC_ACT_OK   0
#define TC_ACT_SHOT 2

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} corpus_tc_next SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, __u64);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} corpus_tc_lengths SEC(".maps");

SEC("tc_corpus_ingress")
int legacy_tc_next(struct __sk_buff *skb)
{
	__u32 key = skb->len & 63;
	__u64 one = 1;
	__u64 *seen = bpf_map_lookup_elem(&corpus_tc_lengths, &key);

	if (!seen) {
		bpf_map_update_elem(&corpus_tc_lengths, &key, &one, BPF_ANY);
		bpf_tail_call(skb, &corpus_tc_next, 0);
		return TC_ACT_OK;
	}
	if (++*seen % 3 == 0)
		return TC_ACT_SHOT;
	bpf_tail_call(skb, &corpus_tc_next, 0);
	return TC_ACT_OK;
}
