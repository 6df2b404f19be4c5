/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the programs of the corpus share: a look at a packet. */
#ifndef __CORPUS_H__
#define __CORPUS_H__

#include "vmlinux.h"
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

/* A byte of the packet, 0 where the packet has none. */
static __always_inline __u32 byte_at(void *data, void *end, __u32 offset)
{
	__u8 *at = data + offset;

	return (void *)(at + 1) > end ? 0 : *at;
}

/* PASS for most packets, DROP for some. */
static __always_inline int judge(struct xdp_md *context)
{
	void *data = (void *)(long)context->data;
	void *end = (void *)(long)context->data_end;

	return byte_at(data, end, 11) + byte_at(data, end, 20) +
				       byte_at(data, end, 30) &
			       3
		       ? XDP_PASS
		       : XDP_DROP;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#endif /* __CORPUS_H__ */
