// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Does nothing: what a test run costs by itself. */
#include "stage.h"

SEC("xdp")
int empty(struct xdp_md *context)
{
	return XDP_PASS;
}
