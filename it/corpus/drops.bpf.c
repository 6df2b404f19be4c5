// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Drops every packet. */
#include "corpus.h"

SEC("xdp")
int drops(struct xdp_md *context)
{
	return XDP_DROP;
}
