// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Calls a static and a global subprogram, one of which calls the other. */
#include "corpus.h"

static __noinline int add(int one, int other)
{
	return one + other + 1;
}

__noinline int sum(struct xdp_md *context, int offset)
{
	void *data = (void *)(long)context->data;
	void *end = (void *)(long)context->data_end;

	if (offset < 0 || offset > 40)
		return 0;
	return add(byte_at(data, end, offset), offset);
}

SEC("xdp")
int subprograms(struct xdp_md *context)
{
	int all = sum(context, 11) + sum(context, 23);

	return all & 3 ? XDP_PASS : XDP_DROP;
}
