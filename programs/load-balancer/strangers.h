/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Destinations that are no services, so that most packets on their way to
 * others cost no lookup: fingerprints of those that were looked up lately. They
 * are keyed with a secret, so that nobody can make up a destination whose
 * fingerprint is that of a service. They hold for one map of services, and,
 * since people may write to that, for a part of a second.
 */
#ifndef __STRANGERS_H__
#define __STRANGERS_H__

#include "flow.h"

#define STRANGERS 1024
/* 64 ms to 640 ms, by how the kernel was configured. */
#define JIFFIES_SHIFT 6

struct bpf_map {
	__u32 id;
} __attribute__((preserve_access_index));

__u64 strangers[STRANGERS];
__u64 secret;

static __always_inline __u64 read_secret(void)
{
	if (!secret)
		secret = (__u64)bpf_get_prandom_u32() << 32 |
			 bpf_get_prandom_u32();
	return secret;
}

static __always_inline __u64 fingerprint(const struct service *service)
{
	const __u32 *address = service->address.in6_u.u6_addr32;
	__u64 hash = read_secret();

	hash = mix(hash, (__u64)address[0] << 32 | address[1]);
	hash = mix(hash, (__u64)address[2] << 32 | address[3]);
	hash = mix(hash, (__u32)service->port << 16 | service->protocol);
	hash ^= (__u64)((struct bpf_map *)&services)->id << 32;
	return mix(hash, bpf_jiffies64() >> JIFFIES_SHIFT);
}

/* What the document says of a service, NULL where it is none. */
static __always_inline struct settings *
find_service(const struct service *service)
{
	__u64 print = fingerprint(service);
	__u64 *stranger = &strangers[print % STRANGERS];
	struct settings *settings;

	if (*stranger == print)
		return NULL;
	settings = bpf_map_lookup_elem(&services, service);
	if (!settings)
		*stranger = print;
	return settings;
}

#endif
