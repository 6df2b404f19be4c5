// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Counts the packets that leave by an interface, and lets them pass. */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

/* Others decide about the packet (linux/pkt_cls.h). */
#define TC_ACT_UNSPEC -1

struct __sk_buff;

/* How often it ran, on each processor. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} counts SEC(".maps");

static __always_inline void count(void)
{
	__u32 first = 0;
	__u64 *times = bpf_map_lookup_elem(&counts, &first);

	if (times)
		(*times)++;
}

SEC("tc")
int on_packet(struct __sk_buff *ctx)
{
	count();
	return TC_ACT_UNSPEC;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
