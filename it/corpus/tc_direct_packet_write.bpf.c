// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The program writes to the packet through a pointer, for which the kernel puts
 * instructions in front of its first, and through helpers.
 */
#include "packet.h"

SEC("tc")
int tc_direct_packet_write(struct __sk_buff *skb)
{
	__u8 *at = (void *)(long)skb->data;
	__u8 kind, byte;

	if ((void *)(at + 14) > (void *)(long)skb->data_end)
		return TC_ACT_SHOT;
	kind = at[12];
	at[6] ^= 2;
	/* No pointer into the packet is good after this. */
	byte = at[5] + 1;
	if (bpf_skb_store_bytes(skb, 5, &byte, sizeof(byte), 0))
		return TC_ACT_SHOT;
	at = (void *)(long)skb->data;
	if ((void *)(at + 14) > (void *)(long)skb->data_end)
		return TC_ACT_SHOT;
	at[7] = at[5];
	if (kind == 0x86)
		return TC_ACT_UNSPEC;
	return byte & 1 ? TC_ACT_SHOT : TC_ACT_OK;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
