/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the two programs share: the names that are being looked up. */
#ifndef __NAME_LOOKUPS_H__
#define __NAME_LOOKUPS_H__

#include "../include/probe.h"

/* How many threads can be looking up names at once. */
#define MAX_ASKING 8192

struct asking {
	__u64 began_ns;
	/* In the memory of the process. */
	__u64 name;
};

/*
 * The key is the thread. Where one never returns, what is left of it gives way
 * to what comes later.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, MAX_ASKING);
	__type(key, __u32);
	__type(value, struct asking);
} asking SEC(".maps");

#endif /* __NAME_LOOKUPS_H__ */
