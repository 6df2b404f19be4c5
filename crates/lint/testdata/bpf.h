/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the sources here share. `make` in this folder compiles them; the objects are kept, so that tests need no compiler. */
#ifndef __BPF_H__
#define __BPF_H__

typedef unsigned char __u8;
typedef unsigned short __u16;
typedef unsigned int __u32;
typedef unsigned long long __u64;

#define SEC(name) __attribute__((section(name), used))
#define __uint(name, val) int(*name)[val]
#define __type(name, val) val *name

struct xdp_md {
	__u32 data;
	__u32 data_end;
};

static void *(*const bpf_map_lookup_elem)(void *map, const void *key) = (void *)1;
static long (*const bpf_map_update_elem)(void *map, const void *key,
					 const void *value, __u64 flags) = (void *)2;
static __u64 (*const bpf_ktime_get_ns)(void) = (void *)5;

#endif
