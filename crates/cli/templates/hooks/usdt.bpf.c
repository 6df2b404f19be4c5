// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Counts how often a static probe of an executable or library is passed. */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

/* The header reads registers on kernels before 5.15 only, which it is not for.
 */
struct pt_regs {
	unsigned long ip;
};

#define __TARGET_ARCH_x86
#include <bpf/usdt.bpf.h>

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

SEC("usdt")
int on_probe(void *ctx)
{
	count();
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
