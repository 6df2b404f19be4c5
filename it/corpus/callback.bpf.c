// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Loops by callback (Linux 5.17). */
#include "corpus.h"

struct walk {
	struct xdp_md *context;
	__u32 sum;
};

static long add(__u32 index, void *argument)
{
	struct walk *walk = argument;
	void *data = (void *)(long)walk->context->data;
	void *end = (void *)(long)walk->context->data_end;

	walk->sum += byte_at(data, end, index & 63);
	return walk->sum > 2000;
}

SEC("xdp")
int loops(struct xdp_md *context)
{
	struct walk walk = {.context = context};

	bpf_loop(64, add, &walk, 0);
	return walk.sum & 3 ? XDP_PASS : XDP_DROP;
}
