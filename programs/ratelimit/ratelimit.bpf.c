// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Limits how many new TCP connections a second reach each destination port.
 *
 * A new connection is a segment with SYN and without ACK. Each port has its
 * own allowance, kept as one point in time by the generic cell rate algorithm
 * (ITU-T I.371, annex A): when the next connection would be on time if all came
 * evenly spaced. A connection that is ahead of its time by more than the burst
 * allows is dropped. There is one slot for each of the 65536 ports, so nothing
 * is evicted and no sender can make the program forget another port.
 */
#include "../include/packet.h"

#define NANOSECONDS 1000000000ULL

const volatile __u32 connections_per_second = 100;
/* Connections at once after a quiet time; 0: as many as in one second. */
const volatile __u32 burst = 0;
const volatile __u16 first_port = 1;
const volatile __u16 last_port = 65535;

/* A lock, since compare-and-swap needs Linux 5.12 and may have to give up. */
struct allowance {
	struct bpf_spin_lock lock;
	__u32 reserved;
	/* When the next connection is on time; CLOCK_MONOTONIC. */
	__u64 due_ns;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 65536);
	__type(key, __u32);
	__type(value, struct allowance);
} ratelimit_ports SEC(".maps");

/* The destination port if this is a new connection, else -1. */
static __always_inline int new_connection(struct xdp_md *ctx)
{
	struct packet packet = {};
	struct tcphdr *tcp;

	if (read_packet(ctx, &packet) != PACKET_IP)
		return -1;
	if (packet.protocol != IPPROTO_TCP || packet.fragment_offset)
		return -1;
	tcp = packet.transport;
	if ((void *)(tcp + 1) > packet.end || !tcp->syn || tcp->ack)
		return -1;
	return bpf_ntohs(tcp->dest);
}

/* Takes one connection from the allowance of a port. */
static __always_inline bool take(struct allowance *port)
{
	/* Rounded up, so that the rate is never above what was asked for. */
	__u64 rate = connections_per_second;
	__u64 interval_ns = (NANOSECONDS + rate - 1) / rate;
	__u64 ahead_ns = ((burst ?: rate) - 1) * interval_ns;
	__u64 now_ns = bpf_ktime_get_ns();
	bool taken = false;
	__u64 due_ns;

	/*
	 * The time only ever moves on, so what an old value refuses a new one
	 * refuses too: a flood is dropped without touching the lock.
	 */
	if (*(volatile __u64 *)&port->due_ns > now_ns + ahead_ns)
		return false;
	bpf_spin_lock(&port->lock);
	due_ns = port->due_ns;
	if (due_ns <= now_ns + ahead_ns) {
		port->due_ns =
			(due_ns > now_ns ? due_ns : now_ns) + interval_ns;
		taken = true;
	}
	bpf_spin_unlock(&port->lock);
	return taken;
}

SEC("xdp")
int ratelimit(struct xdp_md *ctx)
{
	int port = new_connection(ctx);
	struct allowance *allowance;
	__u32 slot = port;

	if (port < first_port || port > last_port)
		return XDP_PASS;
	if (connections_per_second == 0)
		return XDP_DROP;
	allowance = bpf_map_lookup_elem(&ratelimit_ports, &slot);
	if (!allowance || take(allowance))
		return XDP_PASS;
	return XDP_DROP;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
