/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The list that a packet of the benchmark carries behind its UDP header. */
#ifndef __LIST_H__
#define __LIST_H__

#define LIST_LENGTH 32
#define LIST_OFFSET 42
#define BENCH_PORT  0x2000

struct list {
	__u8 length;
	__u8 numbers[LIST_LENGTH];
};

/* None where the packet is one of somebody else. */
static __always_inline struct list *list_of(struct xdp_md *context)
{
	void *data = (void *)(long)context->data;
	void *end = (void *)(long)context->data_end;
	struct list *list = data + LIST_OFFSET;
	__be16 *port = data + LIST_OFFSET - 6;

	if ((void *)(list + 1) > end)
		return NULL;
	return *port == bpf_htons(BENCH_PORT) ? list : NULL;
}

#endif /* __LIST_H__ */
