// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Is made for packets in several buffers (Linux 5.18). */
#include "corpus.h"

SEC("xdp.frags")
int fragments(struct xdp_md *context)
{
	__u64 bytes = bpf_xdp_get_buff_len(context);

	return bytes & 3 ? XDP_PASS : XDP_DROP;
}
