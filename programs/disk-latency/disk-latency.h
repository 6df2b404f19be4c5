/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the two programs share: the requests that devices have. */
#ifndef __DISK_LATENCY_H__
#define __DISK_LATENCY_H__

#include "../include/probe.h"

/* How many requests devices can have at once. */
#define MAX_ISSUED 16384

struct request;

/*
 * The key is where the kernel keeps the request. Where one never comes back,
 * what is left of it gives way to what comes later.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, MAX_ISSUED);
	__type(key, __u64);
	__type(value, __u64);
} issued SEC(".maps");

#endif /* __DISK_LATENCY_H__ */
