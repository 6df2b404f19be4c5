// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The last member of test chains: a verdict that no other program gives. */
#include "corpus.h"

SEC("xdp")
int ends(struct xdp_md *context)
{
	return XDP_TX;
}
