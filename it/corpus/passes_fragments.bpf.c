// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Lets every packet pass, in however many buffers it is (Linux 5.18). */
#include "corpus.h"

SEC("xdp.frags")
int passes_fragments(struct xdp_md *context)
{
	return XDP_PASS;
}
