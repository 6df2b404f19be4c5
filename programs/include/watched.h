/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Parameters that probes of processes share: who is watched. */
#ifndef __WATCHED_H__
#define __WATCHED_H__

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

/* Those are watched for whom all of these say so. */
const volatile __u32 first_uid = 0;
const volatile __u32 last_uid = 0xFFFFFFFF;
/* The inode of a control group; 0: all of them. */
const volatile __u64 cgroup = 0;

/* Whether whoever runs now is. */
static __always_inline bool is_watched(void)
{
	__u32 uid = bpf_get_current_uid_gid();

	if (uid < first_uid || uid > last_uid)
		return false;
	return !cgroup || bpf_get_current_cgroup_id() == cgroup;
}

#endif /* __WATCHED_H__ */
