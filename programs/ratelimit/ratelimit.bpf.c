/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Limits new TCP connections per destination port.
 *
 * Each port has a bucket that fills at a steady rate and holds a burst. It is
 * kept as one number, the time at which the bucket would be full again (the
 * generic cell rate algorithm, ITU-T I.371, annex A), so that one compare and
 * swap is all it takes. There is one number for every port: nothing is evicted,
 * whatever an attacker sends.
 */
#include "../include/parse.h"

#define NSEC_PER_SEC 1000000000ULL
#define PORTS 65536
/* How often an update is tried again that another processor came before. */
#define MAX_TRIES 4

/* New connections per second and port. */
const volatile __u32 connections_per_second = 100;
/* How many may come at once; 0 means as many as one second allows. */
const volatile __u32 burst = 0;
/* The ports that are limited, both ends included. */
const volatile __u16 first_port = 1;
const volatile __u16 last_port = 65535;

/* For each port, when its bucket will be full: nanoseconds since boot. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, PORTS);
	__type(key, __u32);
	__type(value, __u64);
} full_at SEC(".maps");

/* Takes one from the bucket of a port; false when it is empty. */
static __always_inline bool take(__u32 port)
{
	__u64 now = bpf_ktime_get_ns();
	__u64 interval, room;
	__u64 *full;

	full = bpf_map_lookup_elem(&full_at, &port);
	if (!full || !connections_per_second)
		return false;
	interval = NSEC_PER_SEC / connections_per_second;
	room = interval * (burst ? burst : connections_per_second);
	for (int i = 0; i < MAX_TRIES; i++) {
		__u64 before = *(volatile __u64 *)full;
		__u64 after = (before > now ? before : now) + interval;

		if (after > now + room)
			return false;
		if (__sync_val_compare_and_swap(full, before, after) == before)
			return true;
	}
	/* Others took meanwhile; the bucket is busy, not known to be empty. */
	return true;
}

SEC("xdp")
int ratelimit(struct xdp_md *ctx)
{
	struct packet packet;
	struct tcphdr *tcp;
	__u16 port;

	if (parse(ctx, &packet) || packet.protocol != IPPROTO_TCP)
		return XDP_PASS;
	tcp = packet.transport;
	if (!tcp || (void *)(tcp + 1) > packet.end)
		return XDP_PASS;
	if ((tcp->flags & (TCP_FLAG_SYN | TCP_FLAG_ACK)) != TCP_FLAG_SYN)
		return XDP_PASS;
	port = bpf_ntohs(tcp->dest);
	if (port < first_port || port > last_port)
		return XDP_PASS;
	return take(port) ? XDP_PASS : XDP_DROP;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
