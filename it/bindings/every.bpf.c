// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Maps of every kind of type, for bindings. Each packet tells one event, which
 * has all of it. */
#include "vmlinux.h"
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

enum action {
	ACTION_ALLOW = 1,
	ACTION_DENY = 2,
};

struct point {
	__s16 x;
	__s16 y;
};

struct tight {
	__u8 first;
	__u32 second;
} __attribute__((packed));

struct everything {
	struct bpf_spin_lock lock;
	__u8 u8;
	__s8 s8;
	__u16 u16;
	__s16 s16;
	__u32 u32;
	__s32 s32;
	__u64 u64;
	__s64 s64;
	unsigned __int128 u128;
	bool yes;
	__be16 port;
	__be32 order;
	__be64 wide;
	float single;
	double twice;
	enum action action;
	__u32 flags;
	char name[6];
	__u8 raw[3];
	__u32 ipv4;
	__u8 ipv6[16];
	__u8 ip[16];
	__u8 mac[6];
	__u32 low : 3;
	__s32 middle : 7;
	__u32 high : 22;
	struct point points[2];
	__be16 ports[3];
	struct tight tight;
	union {
		__u32 whole;
		struct point parts;
	};
	struct {
		__u16 inside;
		__u16 type;
	};
	__u64 duration_ns;
	__u8 class;
	__u8 self;
	__u8 a_b;
	__u8 aB;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8);
	__type(key, __u32);
	__type(value, struct everything);
} everything SEC(".maps");

struct limit {
	__u64 rate;
	__u32 burst;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8);
	__type(key, __be16);
	__type(value, struct limit);
} limits SEC(".maps");

struct prefix {
	__u32 length;
	__u8 address[4];
};

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 8);
	__uint(map_flags, 1);
	__type(key, struct prefix);
	__type(value, enum action);
} prefixes SEC(".maps");

struct count {
	__u64 packets;
	__u32 last;
} __attribute__((packed));

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, struct count);
} counts SEC(".maps");

struct {
	__uint(type, 22);
	__uint(max_entries, 4);
	__type(value, __u32);
} waiting SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} plain SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(key_size, 4);
	__uint(value_size, 4);
} old_events SEC(".maps");

/* Fields that are called as functions of bindings would be. */
struct named {
	enum action kind : 3;
	__u32 check : 5;
	enum action kind_put;
	enum action standard;
	__s64 most;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8);
	__type(key, __u32);
	__type(value, struct named);
} named SEC(".maps");

/* What a document says, for user space alone. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8);
	__type(key, __u32);
	__type(value, __u32);
} settings SEC(".maps");

__u64 seen;
__u32 told = 7;
const volatile __u32 constant = 1;

static __always_inline void fill(struct everything *all)
{
	__u64 twice = 0xc002000000000000ULL; /* -2.25 */
	__u32 single = 0x3fc00000;	     /* 1.5 */

	all->u8 = 200;
	all->s8 = -100;
	all->u16 = 60000;
	all->s16 = -30000;
	all->u32 = 4000000000U;
	all->s32 = -2000000000;
	all->u64 = 10000000000000000000ULL;
	all->s64 = -9000000000000000000LL;
	all->u128 = ((unsigned __int128)1 << 64) + 2;
	all->yes = true;
	all->port = bpf_htons(443);
	all->order = bpf_htonl(16909060);
	all->wide = bpf_cpu_to_be64(72623859790382856ULL);
	__builtin_memcpy(&all->single, &single, sizeof(single));
	__builtin_memcpy(&all->twice, &twice, sizeof(twice));
	all->action = ACTION_DENY;
	all->flags = 5;
	__builtin_memcpy(all->name, "abc", 3);
	all->raw[0] = 1;
	all->raw[2] = 255;
	all->ipv4 = bpf_htonl(0xc0000201);
	all->ipv6[0] = 0x20;
	all->ipv6[1] = 0x01;
	all->ipv6[15] = 1;
	all->ip[10] = 0xff;
	all->ip[11] = 0xff;
	all->ip[12] = 10;
	all->ip[15] = 9;
	all->mac[0] = 2;
	all->mac[5] = 0xab;
	all->low = 5;
	all->middle = -60;
	all->high = 4000000;
	all->points[0].x = 1;
	all->points[0].y = -1;
	all->points[1].x = 300;
	all->points[1].y = -300;
	all->ports[0] = bpf_htons(1);
	all->ports[1] = bpf_htons(256);
	all->ports[2] = bpf_htons(65535);
	all->tight.first = 7;
	all->tight.second = 100000;
	all->parts.x = 2;
	all->parts.y = 3;
	all->inside = 11;
	all->type = 12;
	all->duration_ns = 1500000;
	all->class = 1;
	all->self = 2;
	all->a_b = 3;
	all->aB = 4;
}

SEC("xdp")
int every(struct xdp_md *ctx)
{
	struct everything *all;
	struct prefix none = {};
	struct count *count;
	__u32 first = 0;
	__u16 port = 0;

	__sync_fetch_and_add(&seen, 1);
	count = bpf_map_lookup_elem(&counts, &first);
	if (count) {
		count->packets++;
		count->last = told;
	}
	/* What no program names is in no object. */
	if (constant == 0 &&
	    (bpf_map_lookup_elem(&limits, &port) ||
	     bpf_map_lookup_elem(&prefixes, &none) ||
	     bpf_map_lookup_elem(&everything, &first) ||
	     bpf_map_lookup_elem(&named, &first) ||
	     bpf_map_lookup_elem(&settings, &first) ||
	     bpf_map_push_elem(&waiting, &first, 0) ||
	     bpf_perf_event_output(ctx, &old_events, 0, &first, sizeof(first))))
		return XDP_DROP;
	bpf_ringbuf_output(&plain, &first, sizeof(first), 0);
	all = bpf_ringbuf_reserve(&events, sizeof(*all), 0);
	if (!all)
		return XDP_PASS;
	__builtin_memset(all, 0, sizeof(*all));
	fill(all);
	bpf_ringbuf_submit(all, 0);
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
