// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Throws an exception (Linux 6.7), which leaves from anywhere. */
#include "corpus.h"

extern void bpf_throw(__u64 cookie) __ksym;

SEC("xdp")
int throws(struct xdp_md *context)
{
	if (judge(context) == XDP_DROP)
		bpf_throw(XDP_DROP);
	return XDP_PASS;
}
