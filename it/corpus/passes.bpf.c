// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Lets every packet pass. */
#include "corpus.h"

SEC("xdp")
int passes(struct xdp_md *context)
{
	return XDP_PASS;
}
