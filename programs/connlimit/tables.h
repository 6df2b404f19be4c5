/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What connlimit remembers, in arrays of buckets with a lock each: connections,
 * and accounts, which are the places that a source or a service holds. Nothing
 * is allocated or freed, so that no program can meet an entry that became
 * another one's: a place is looked at again under the lock of its bucket.
 */
#ifndef __TABLES_H__
#define __TABLES_H__

#include "../include/packet.h"

#define WAYS		   8
#define CONNECTION_BUCKETS 32768
#define ACCOUNT_BUCKETS	   32768
#define NO_ACCOUNT	   (~0U)
#define NO_BUCKET	   CONNECTION_BUCKETS

enum state {
	FREE,
	/* SYN seen: holds no place, and gives way to others. */
	OPENING,
	/* The handshake is over: holds a place. */
	OPEN,
	/* One side has ended it, or something is in doubt: holds a place. */
	CLOSING,
	/* Over: holds none, and gives way to others. */
	CLOSED,
};

enum mark {
	CLIENT_FIN = 1,
	SERVER_FIN = 2,
	/* What the server says is seen as well. */
	ANSWERED = 4,
	/* The server took data with the SYN (RFC 7413). */
	EARLY_DATA = 8,
	/* A SYN came that may have begun it anew. */
	RENEWED = 16,
	/* A RST ended it. */
	RESET = 32,
	/* It was silent for so long that it was taken for over. */
	SILENT = 64,
};

/* Addresses of IPv4 are ::ffff:0:0/96; all in network byte order. */
struct flow {
	__u64 source[2];
	__u64 destination[2];
	__be16 source_port;
	__be16 destination_port;
};

struct connection {
	/* As in the flow, which would end with padding. */
	__u64 source[2];
	__u64 destination[2];
	__be16 source_port;
	__be16 destination_port;
	/* What the client sends next, as far as was seen. */
	__u32 next;
	/*
	 * What proves a handshake: while OPENING, the end of the SYN, and from
	 * its answer on what the client must acknowledge; while RENEWED, the
	 * sequence number behind the new SYN.
	 */
	__u32 proof;
	/* The SYN, or the last packet that the sweep knows of; in ms. */
	__u32 seen_ms;
	/* Where its places are counted. */
	__u32 source_account;
	__u32 service_account;
};

/* A cache line that tells most, and what is behind it. */
struct connections {
	struct bpf_spin_lock lock;
	/* Some that belong here are in their other bucket. */
	__u32 spilled;
	__u32 tags[WAYS];
	__u8 states[WAYS];
	__u8 marks[WAYS];
	/* Packets came since the sweep was here. */
	__u8 active[WAYS];
	struct connection ways[WAYS];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, CONNECTION_BUCKETS);
	__type(key, __u32);
	__type(value, struct connections);
} connlimit_table SEC(".maps");

enum kind {
	NOBODY,
	SOURCE,
	SERVICE,
};

/* Who holds places; a source has no port. */
struct holder {
	__u64 address[2];
	__be16 port;
	__u16 kind;
};

struct account {
	struct holder holder;
	__u32 places;
	/* Handshakes that began in this and in the window before. */
	__u32 window;
	__u16 handshakes[2];
};

struct accounts {
	struct bpf_spin_lock lock;
	__u32 reserved;
	struct account ways[WAYS];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, ACCOUNT_BUCKETS);
	__type(key, __u32);
	__type(value, struct accounts);
} connlimit_accounts SEC(".maps");

#define KEYS 12

struct common {
	struct bpf_spin_lock lock;
	/* Nobody outside knows which flows share a bucket. */
	__u32 keys[KEYS];
	/* The sweep: which bucket is next, when it ran. */
	__u32 cursor;
	__u32 swept_ms;
	__u32 reserved;
	__u64 tick;
	/* When the server's half last saw an answer to a SYN; 0: never. */
	__u64 answered_ms;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct common);
} connlimit_common SEC(".maps");

/* For people: accounts that hold places, as they were last changed. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct in6_addr);
	__type(value, __u32);
} sources SEC(".maps");

struct service {
	struct in6_addr address;
	__be16 port;
} __attribute__((packed));

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct service);
	__type(value, __u32);
} services SEC(".maps");

enum event {
	/* Handshakes that began, and that were completed within the limits. */
	HANDSHAKE,
	ADMITTED,
	/* Packets that were dropped: who had as many as it may. */
	REFUSED_SOURCE,
	REFUSED_SERVICE,
	/* Connections that ended: how. */
	ENDED_FIN,
	ENDED_RESET,
	ENDED_SILENT,
	/* RST and FIN that do not fit their connection. */
	FORGED,
	/* Half-open connections that made room for others. */
	DISPLACED,
	/* Connections, sources and services that are not counted. */
	NO_ROOM,
	EVENTS,
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, EVENTS);
	__type(key, __u32);
	__type(value, __u64);
} events SEC(".maps");

static __always_inline void count(__u32 event)
{
	__u64 *counter = bpf_map_lookup_elem(&events, &event);

	if (counter)
		++*counter;
}

static __always_inline __u64 now_in_ms(void)
{
	return bpf_ktime_get_ns() / 1000000;
}

static __always_inline struct common *common_as_it_is(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&connlimit_common, &zero);
}

/* Draws the keys, once. */
__noinline int draw_keys(void)
{
	struct common *common = common_as_it_is();
	__u32 keys[KEYS];

	if (!common)
		return 0;
	for (int i = 0; i < KEYS; i++)
		keys[i] = bpf_get_prandom_u32();
	keys[0] |= 1;
	bpf_spin_lock(&common->lock);
	if (!common->keys[0]) {
		for (int i = KEYS - 1; i >= 0; i--)
			common->keys[i] = keys[i];
	}
	bpf_spin_unlock(&common->lock);
	return 0;
}

static __always_inline struct common *find_common(void)
{
	struct common *common = common_as_it_is();

	if (common && !common->keys[0])
		draw_keys();
	return common;
}

/* NH of UMAC (RFC 4418, section 5.2.2): sums modulo 2^32, products of 64 bits.
 */
static __always_inline __u64 product(__u32 a, __u32 key_a, __u32 b, __u32 key_b)
{
	return (__u64)(__u32)(a + key_a) * (__u32)(b + key_b);
}

static __always_inline __u64 spread(__u64 sum)
{
	sum ^= sum >> 32;
	sum *= 0x9E3779B97F4A7C15ULL;
	return sum ^ sum >> 29;
}

static __always_inline __u64 product_of(__u64 word, const __u32 *keys)
{
	return product(word, keys[0], word >> 32, keys[1]);
}

/* What holds a place is counted, until it gives it back. */
static __always_inline bool holds_place(__u8 state)
{
	return state == OPEN || state == CLOSING;
}

/* Where a connection is looked for. */
struct place {
	__u32 bucket;
	__u32 tag;
};

static __always_inline bool is_ipv4(const __u64 *address)
{
	return address[0] == 0 && (__u32)address[1] == (__u32)bpf_htonl(0xffff);
}

static __always_inline struct place place_of(const struct flow *flow, bool ipv4,
					     const struct common *common)
{
	const __u32 *keys = common->keys;
	__u32 ports = (__u32)flow->source_port << 16 | flow->destination_port;
	__u64 sum = product(ports, keys[0], 0, keys[1]);
	struct place place;

	if (ipv4) {
		sum += product(flow->source[1] >> 32, keys[2],
			       flow->destination[1] >> 32, keys[3]);
	} else {
		sum += product_of(flow->source[0], keys + 4);
		sum += product_of(flow->source[1], keys + 6);
		sum += product_of(flow->destination[0], keys + 8);
		sum += product_of(flow->destination[1], keys + 10);
	}
	sum = spread(sum);
	place.bucket = sum & (CONNECTION_BUCKETS - 1);
	place.tag = sum >> 32 | 1;
	return place;
}

static __always_inline __u32 other_bucket(struct place place)
{
	__u32 step = place.tag >> 8 & (CONNECTION_BUCKETS - 1);

	return place.bucket ^ (step | 1);
}

/*
 * 1 for 0, else 0, without a branch: the verifier looks at what follows once,
 * and not once for each way. The compiler must not see through it.
 */
static __always_inline __u32 is_zero(__u64 number)
{
	number |= -number;
	asm volatile("" : "+r"(number));
	return (number >> 63) ^ 1;
}

static __always_inline bool same_flow(const struct connection *a,
				      const struct flow *b)
{
	return a->source[1] == b->source[1] &&
	       a->source_port == b->source_port &&
	       a->destination_port == b->destination_port &&
	       a->destination[1] == b->destination[1] &&
	       a->source[0] == b->source[0] &&
	       a->destination[0] == b->destination[0];
}

/* The way with a tag, of which there is one at most; WAYS: none. */
static __always_inline __u32 find_tag(const struct connections *bucket,
				      __u32 tag)
{
	__u32 way = 0, found = 0;

#pragma unroll
	for (__u32 i = 0; i < WAYS; i++) {
		__u32 is_it = is_zero(bucket->tags[i] ^ tag);

		way += is_it * i;
		found |= is_it;
	}
	return found ? way : WAYS;
}

/* The way of a flow in a bucket; WAYS: none. */
static __always_inline __u32 find_way(const struct connections *bucket,
				      const struct flow *flow, __u32 tag)
{
	__u32 way = find_tag(bucket, tag);

	if (way < WAYS && same_flow(&bucket->ways[way], flow))
		return way;
	return WAYS;
}

/* The same with branches, for where little follows and speed counts. */
static __always_inline __u32 find_way_soon(const struct connections *bucket,
					   const struct flow *flow, __u32 tag)
{
	__u32 way;

	for (way = 0; way < WAYS; way++)
		if (bucket->tags[way] == tag)
			break;
	if (way < WAYS && same_flow(&bucket->ways[way], flow))
		return way;
	return WAYS;
}

/*
 * A way for a new connection: a free one, else the one that has held no place
 * for the longest time. WAYS: all hold places. A global function, whose result
 * the verifier takes for any number.
 */
__noinline int free_way(__u32 number, __u32 now_ms)
{
	const struct connections *bucket;
	__u32 best = WAYS, oldest = 0;

	bucket = bpf_map_lookup_elem(&connlimit_table, &number);
	if (!bucket)
		return WAYS;
	for (__u32 way = 0; way < WAYS; way++) {
		__u32 age = now_ms - bucket->ways[way].seen_ms;
		__u8 state = bucket->states[way];

		if (holds_place(state))
			continue;
		if (state == FREE)
			age = ~0U;
		if (best == WAYS || age > oldest) {
			best = way;
			oldest = age;
		}
	}
	return best;
}

#endif
