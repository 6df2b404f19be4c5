// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * STAGES stages in one program: each inlined, or each a function of its own
 * when FUNCTION is __noinline. Compiled once for each number of stages.
 */
#include "stage.h"

#ifndef FUNCTION
#define FUNCTION __always_inline
#endif

#define STAGE(n)                                                               \
	static FUNCTION int stage_##n(struct xdp_md *context)                  \
	{                                                                      \
		void *data = (void *)(long)context->data;                      \
		void *end = (void *)(long)context->data_end;                   \
                                                                               \
		return look(data, end, n) ? XDP_PASS : XDP_DROP;               \
	}
#define EIGHT(what, n)                                                         \
	what(n##0) what(n##1) what(n##2) what(n##3) what(n##4) what(n##5)      \
		what(n##6) what(n##7)

EIGHT(STAGE, 00)
EIGHT(STAGE, 01)
EIGHT(STAGE, 02)
EIGHT(STAGE, 03)

#define RUN(n)                                                                 \
	if (n < STAGES) {                                                      \
		int verdict = stage_##n(context);                              \
                                                                               \
		if (verdict != XDP_PASS)                                       \
			return verdict;                                        \
		barrier();                                                     \
	}

SEC("xdp")
int stages(struct xdp_md *context)
{
	EIGHT(RUN, 00)
	EIGHT(RUN, 01)
	EIGHT(RUN, 02)
	EIGHT(RUN, 03)
	return XDP_PASS;
}
