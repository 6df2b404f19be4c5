// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Some verdicts are -1, which lets the next classifier decide and must not be
 * taken for a large number.
 */
#include "packet.h"

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
