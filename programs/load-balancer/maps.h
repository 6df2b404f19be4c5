/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the program shares with people and with its user part: parameters, what
 * a document configures, the tables of the user part, counters.
 */
#ifndef __MAPS_H__
#define __MAPS_H__

#include "../include/packet.h"

#define MAX_SERVICES 1024
#define MAX_POOLS    16
/* Backends have numbers from 1 on; 0 is none. */
#define MAX_BACKENDS 1024
/* A prime, as Maglev wants it; see user/src/maglev.rs. */
#define TABLE_SLOTS 65537
/* A line of the cache. */
#define CHUNK_SLOTS  8
#define TABLE_CHUNKS ((TABLE_SLOTS + CHUNK_SLOTS - 1) / CHUNK_SLOTS)

/* Parameters of this program; package.toml describes them. */
const volatile __u64 hash_seed = 0;
const volatile __u8 next_hop_mac[ETH_ALEN] = {};
const volatile __u32 connection_affinity = 3600;
const volatile __u32 datagram_affinity = 120;

/* Parameters of the user part. */
const volatile __u32 check_interval_ms = 2000;
const volatile __u32 check_timeout_ms = 1000;
const volatile __u32 check_rise = 2;
const volatile __u32 check_fall = 3;

/* Addresses of IPv4 are IPv4-mapped ones (RFC 4291, section 2.5.5.2). */
struct service {
	struct in6_addr address;
	__be16 port;
	__u16 protocol;
};

struct settings {
	__u32 pool;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_SERVICES);
	__type(key, struct service);
	__type(value, struct settings);
} services SEC(".maps");

enum encapsulation {
	ENCAPSULATION_IPIP = 0,
	ENCAPSULATION_GUE = 1,
};

#define PATH_BYTES 64

struct backend {
	struct in6_addr address;
	__u16 pool;
	__u16 weight;
	__u8 encapsulation;
	__u8 check;
	__u16 check_port;
	char check_path[PATH_BYTES];
};

/* For the user part: this program reads `targets`, which follow from it. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_BACKENDS - 1);
	__type(key, __u32);
	__type(value, struct backend);
} backends SEC(".maps");

enum target_state {
	TARGET_NONE = 0,
	TARGET_OPEN = 1,
	/* Goes on with the flows that it has. */
	TARGET_DRAINS = 2,
	TARGET_CLOSED = 3,
};

/* Where a backend is. */
struct target {
	struct in6_addr address;
	/* The outer source: the address from which this host reaches it. */
	struct in6_addr source;
	__u8 state;
	__u8 encapsulation;
	/* Another one when the number gets another address. */
	__u16 incarnation;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_BACKENDS);
	__type(key, __u32);
	__type(value, struct target);
} targets SEC(".maps");

/*
 * The backend of a share of the flows, the one that had them before, 0 for
 * none, and since when: seconds of CLOCK_MONOTONIC. Flows of before stay with
 * that.
 */
struct slot {
	__u16 now;
	__u16 before;
	__u32 changed_s;
};

struct chunk {
	struct slot slots[CHUNK_SLOTS];
};

/* Two tables for each pool: one is in use, the other one is written. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_POOLS * 2 * TABLE_CHUNKS);
	__type(key, __u32);
	__type(value, struct chunk);
} tables SEC(".maps");

struct pool {
	/* Which of its two tables is in use: one write switches all packets. */
	__u32 table;
	/* How many tables there were; 0: none so far. */
	__u32 generation;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_POOLS);
	__type(key, __u32);
	__type(value, struct pool);
} pools SEC(".maps");

/*
 * Which process of the user part writes the three above, and `health`: the one
 * whose key is the greatest. The value goes up as long as it runs.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, __u64);
	__type(value, __u64);
} claims SEC(".maps");

struct flow {
	struct service service;
	struct in6_addr client;
	__be16 client_port;
} __attribute__((aligned(8)));

struct pin {
	__u16 backend;
	__u16 incarnation;
	/* TCP: where a new connection of the same ports would go, 0 for none.
	 */
	__u16 next;
	__u16 next_incarnation;
	/* TCP: the sequence number of the SYN that asked for it. */
	__u32 syn;
	/* UDP: when a packet came; seconds of CLOCK_MONOTONIC. */
	__u32 seen_s;
};

/* Flows that went on in a slot that changed. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 131072);
	__type(key, struct flow);
	__type(value, struct pin);
} pinned SEC(".maps");

/*
 * Connections that began in a slot that changed and have not gone on so far.
 * They are apart, so that a flood of SYNs evicts none that did.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, struct flow);
	__type(value, struct pin);
} begun SEC(".maps");

enum outcome {
	OUTCOME_FORWARDED = 0,
	/* An ICMP error about a packet of a backend. */
	OUTCOME_ERROR_FORWARDED,
	OUTCOME_FRAGMENT,
	OUTCOME_NO_BACKEND,
	/* The hop limit of the packet ends here. */
	OUTCOME_HOP_LIMIT,
	OUTCOME_TOO_BIG,
	OUTCOME_NO_ROUTE,
	OUTCOME_NO_NEIGHBOUR,
	OUTCOME_FORWARDING_OFF,
	/* The driver leaves no room in front of the frame. */
	OUTCOME_NO_HEADROOM,
	OUTCOMES,
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, OUTCOMES);
	__type(key, __u32);
	__type(value, __u64);
} outcomes SEC(".maps");

struct traffic_key {
	struct service service;
	__u32 backend;
};

struct traffic {
	__u64 packets;
	__u64 bytes;
	__u64 connections;
};

/* As many as metrics tell of; what has no room is not counted. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct traffic_key);
	__type(value, struct traffic);
} traffic SEC(".maps");

/* What the user part knows of a backend; it goes on from there. */
struct health {
	struct in6_addr address;
	__u64 successes;
	__u64 failures;
	/* How many checks in a row said other than `up`. */
	__u32 streak;
	__u32 up;
	/* Of the slots of its pool, how many lead to it. */
	__u32 slots;
	__u32 weight;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_BACKENDS - 1);
	__type(key, __u32);
	__type(value, struct health);
} health SEC(".maps");

#endif
