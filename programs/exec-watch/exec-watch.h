/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the two programs share: the programs that run. */
#ifndef __EXEC_WATCH_H__
#define __EXEC_WATCH_H__

#include "../include/probe.h"

/* How many programs that run can be waited for at once. */
#define MAX_RUNNING 16384
/* How many commands are counted each by its name. */
#define MAX_COMMANDS 256

struct running {
	/* Since the machine started, also while it slept. */
	__u64 started_ns;
	char command[COMMAND_BYTES];
};

/* The key is the process. The oldest gives way where there are too many. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, MAX_RUNNING);
	__type(key, __u32);
	__type(value, struct running);
} running SEC(".maps");

#endif /* __EXEC_WATCH_H__ */
