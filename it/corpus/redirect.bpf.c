// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Redirects through a map that is empty: the flags say what then. */
#include "corpus.h"

struct {
	__uint(type, 14); /* BPF_MAP_TYPE_DEVMAP */
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u32);
} ports SEC(".maps");

SEC("xdp")
int redirects(struct xdp_md *context)
{
	return bpf_redirect_map(&ports, 0, judge(context));
}
