/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the two programs share: the opens that did not return yet. */
#ifndef __FILE_OPENS_H__
#define __FILE_OPENS_H__

#include "../include/probe.h"

/* How many threads can be opening files at once. */
#define MAX_OPENING 8192

struct opening {
	__u64 began_ns;
	/* In the memory of the process. */
	__u64 name;
	__u64 flags;
};

/*
 * The key is the thread. Where a return is missed, what is left of it gives way
 * to what comes later.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, MAX_OPENING);
	__type(key, __u32);
	__type(value, struct opening);
} opening SEC(".maps");

#endif /* __FILE_OPENS_H__ */
