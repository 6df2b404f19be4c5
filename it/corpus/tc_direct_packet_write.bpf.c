// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The program writes to the packet through a pointer, for which the kernel puts
 * instructions in front of its first, and through helpers.
 */
#include "packet.h"

enum {
	TC_ACT_UNSPEC = -1,
	TC_ACT_OK = 0,
	TC_ACT_SHOT = 2,
	TC_ACT_PIPE = 3,
};

/* As much of it as is needed here; offsets are those of the kernel. */
struct __sk_buff {
	__u32 len;
	__u32 pkt_type;
	__u32 mark;
	__u32 queue_mapping;
	__u32 protocol;
	__u32 vlan_present;
	__u32 vlan_tci;
	__u32 vlan_proto;
	__u32 priority;
	__u32 ingress_ifindex;
	__u32 ifindex;
	__u32 tc_index;
	__u32 cb[5];
	__u32 hash;
	__u32 tc_classid;
	__u32 data;
	__u32 data_end;
};

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
