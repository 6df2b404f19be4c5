// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Some verdicts are -1, which lets the next classifier decide and must not be
 * taken for a large number.
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
int tc_unspec(struct __sk_buff *skb)
{
	if (skb->len < 60)
		return TC_ACT_OK;
	if (skb->protocol == bpf_htons(ETH_P_IPV6))
		return TC_ACT_SHOT;
	return TC_ACT_UNSPEC;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
