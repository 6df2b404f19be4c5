// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Counts the searches for a socket, and leaves them to the kernel. */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

/* The kernel goes on searching (linux/bpf.h). */
#define SK_PASS 1

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

SEC("sk_lookup")
int on_lookup(void *ctx)
{
	count();
	return SK_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
