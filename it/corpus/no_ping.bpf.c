// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Drops what looks like a ping, and nothing else. */
#include "corpus.h"

#define ETHERNET_BYTES 14
#define PROTOCOL_AT    (ETHERNET_BYTES + 9)

SEC("xdp")
int no_ping(struct xdp_md *context)
{
	void *data = (void *)(long)context->data;
	void *end = (void *)(long)context->data_end;

	return byte_at(data, end, PROTOCOL_AT) == IPPROTO_ICMP ? XDP_DROP
							       : XDP_PASS;
}
