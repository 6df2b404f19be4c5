// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Writes to the packet by a helper. */
#include "corpus.h"

SEC("tc")
int tc_writes(struct __sk_buff *context)
{
	__u32 kind = context->len & 7;

	__u8 byte = kind;

	if (bpf_skb_store_bytes(context, 5, &byte, 1, 0))
		return 2;
	return kind & 1 ? 0 : -1;
}
