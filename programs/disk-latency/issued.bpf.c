// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Notes when a request is given to its device.
 */
#include "disk-latency.h"

/* block_rq_issue(request), since Linux 5.11. */
SEC("tp_btf/block_rq_issue")
int on_issue(__u64 *arguments)
{
	__u64 request = arguments[0], now_ns = bpf_ktime_get_ns();

	bpf_map_update_elem(&issued, &request, &now_ns, BPF_ANY);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
