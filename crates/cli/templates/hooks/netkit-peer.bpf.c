// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Counts the packets that a container sends to the host. */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

/* Others decide about the packet (linux/if_link.h). */
#define NETKIT_NEXT -1

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

SEC("netkit/peer")
int on_packet(void *ctx)
{
	count();
	return NETKIT_NEXT;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
