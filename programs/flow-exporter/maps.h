/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the programs share with each other and with the program in user space:
 * parameters, flow tables, and what that program keeps there, as it may be
 * killed.
 */
#ifndef __MAPS_H__
#define __MAPS_H__

#include "../include/packet.h"

#define MAX_CHECKPOINTS 4
/* Of packets that are on their way through chains on one processor. */
#define NOTES 8
/* Left in packets: their note has a number of this kind, or there is none. */
#define NOTED	0x80000000
#define UNNOTED 0x40000000
/* An entry for each flow of the time between two turns. */
#define MAX_FLOWS     65536
#define MESSAGE_FLOWS 64
#define MESSAGES      32

/* Read by the program in user space. */
const volatile struct in6_addr collector = {};
const volatile __u16 collector_port = 4739;
const volatile __u8 collector_transport = IPPROTO_UDP;
const volatile __u32 observation_domain = 1;
const volatile __u32 enterprise_number = 32473;
const volatile __u32 active_timeout = 60;
const volatile __u32 idle_timeout = 15;
const volatile __u32 template_refresh = 60;
const volatile __u32 template_refresh_messages = 1000;
const volatile __u16 path_mtu = 1500;

/* Of the programs that count. */
const volatile __u32 sampling_one_in = 1;
const volatile bool sampling_random = false;
const volatile __u8 checkpoints = 0;

/* Of checkpoints. */
const volatile __u8 position = 0;
const volatile char behind[64] = "";
/* What the member in front does with what it does not let pass. */
const volatile __u8 ended_as = 2;

struct flow_key {
	/* Those of IPv4 as ::ffff:0:0/96. */
	struct in6_addr source;
	struct in6_addr destination;
	/* 0 where it is not known. */
	__u32 ingress_interface;
	__u32 egress_interface;
	/* Where there are none, 0; of ICMP, type and code as destination. */
	__be16 source_port;
	__be16 destination_port;
	__u16 vlan;
	__u8 protocol;
	__u8 traffic_class;
	__u8 ip_version;
	/* 0 received, 1 sent. */
	__u8 direction;
	__u8 checkpoints;
	__u8 sampling_random;
	__u32 sampling_one_in;
};

struct flow_counts {
	__u64 first_ns;
	__u64 last_ns;
	__u64 packets;
	__u64 bytes;
	__u64 reached_packets[MAX_CHECKPOINTS];
	__u64 reached_bytes[MAX_CHECKPOINTS];
	__u32 tcp_flags;
	__u32 reserved;
};

/* A flow that waits to be told of. */
struct flow_pending {
	struct flow_counts counts;
	/* The turn that was added last. */
	__u64 turn;
};

/*
 * A packet that is on its way through a chain. What is read of it goes here and
 * not on the stack, so that the verifier need not follow all ways through the
 * headers any further.
 */
struct flow_note {
	struct flow_key key;
	__u32 number;
	__u32 tcp_flags;
	__u64 packets;
	__u64 bytes;
	__u64 turn;
	/* Where the transport header is in the frame, if there is one. */
	__u32 transport;
	/* The headers of IP. */
	__u32 header_bytes;
};

struct flow_metering {
	/* Frames that reached `flows_*`, and what became of them there. */
	__u64 observed;
	__u64 unsampled;
	__u64 other;
	__u64 malformed;
	/* Of flows that had no room. */
	__u64 ignored_packets;
	__u64 ignored_bytes;
	/* Entries that were made in flow tables. */
	__u64 flows;
	/* Frames at checkpoints of which no note was found. */
	__u64 unnoted;
	__u64 notes;
};

struct flow_told {
	struct flow_key key;
	struct flow_counts counts;
	__u32 end_reason;
	__u32 reserved;
};

struct flow_message {
	__u64 first_record;
	__u32 flows;
	__u32 records;
	struct flow_told flow[MESSAGE_FLOWS];
};

/* Where the program in user space is; see its `ledger.rs`. */
struct flow_progress {
	/* Messages from `oldest` to before `next` are not known to have come.
	 */
	__u64 oldest_message;
	__u64 next_message;
	/* Whether the last one is still in `flow_cache` as well. */
	__u32 moving;
	/* The next sequence number of the transport session. */
	__u32 sequence;
	__u64 session;
	__u32 source_port;
	__u32 reserved;
	__u64 next_record;
	__u64 exported_messages;
	__u64 exported_bytes;
	__u64 exported_records;
	__u64 not_sent_records;
	__u64 not_sent_packets;
	__u64 not_sent_bytes;
};

#define FLOW_TABLE(name)                                                       \
	struct {                                                               \
		__uint(type, BPF_MAP_TYPE_HASH);                               \
		__uint(max_entries, MAX_FLOWS);                                \
		__type(key, struct flow_key);                                  \
		__type(value, struct flow_counts);                             \
	} name SEC(".maps")

FLOW_TABLE(flows_even);
FLOW_TABLE(flows_odd);

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} flow_turn SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, NOTES);
	__type(key, __u32);
	__type(value, struct flow_note);
} flow_notes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct flow_metering);
} flow_metering SEC(".maps");

/* The rest belongs to the program in user space, which may be killed. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 2 * MAX_FLOWS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct flow_key);
	__type(value, struct flow_pending);
} flow_cache SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MESSAGES);
	__type(key, __u32);
	__type(value, struct flow_message);
} flow_messages SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct flow_progress);
} flow_progress SEC(".maps");

#endif
