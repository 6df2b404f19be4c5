// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Keeps global variables of three kinds. */
#include "corpus.h"

const volatile __u32 bits = 3;
__u32 seen;
__u32 dropped = 1000;

SEC("xdp")
int global_data(struct xdp_md *context)
{
	int verdict = judge(context);

	seen++;
	if (verdict == XDP_DROP)
		dropped++;
	return (seen + dropped) & bits ? XDP_PASS : XDP_DROP;
}
