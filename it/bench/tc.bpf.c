// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * TC: a stage, the end of the way of a packet, and a source of packets, which
 * sends copies out of the interface whose index is the packet's payload.
 */
#include "stage.h"

#ifndef PAYLOAD
#define PAYLOAD 42
#endif

SEC("tc")
int stage(struct __sk_buff *context)
{
	void *data = (void *)(long)context->data;
	void *end = (void *)(long)context->data_end;

	return look(data, end, 0) ? TC_ACT_UNSPEC : TC_ACT_SHOT;
}

SEC("tc")
int end(struct __sk_buff *context)
{
	return TC_ACT_SHOT;
}

SEC("tc")
int source(struct __sk_buff *context)
{
	__u32 interface;

	if (bpf_skb_load_bytes(context, PAYLOAD, &interface, sizeof(interface)))
		return TC_ACT_UNSPEC;
	bpf_clone_redirect(context, interface, 0);
	return TC_ACT_SHOT;
}
