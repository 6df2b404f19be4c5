// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Drops packets that no honest host sends, before anything spends time on them.
 *
 * Each check can be switched off. What is not IPv4 or IPv6 passes, and so does
 * all that no check objects to.
 */
#include "../include/packet.h"

const volatile bool check_header = true;
const volatile bool check_fragments = true;
const volatile bool check_flags = true;
const volatile bool check_ports = true;
const volatile bool check_land = true;

#include "../include/flaws.h"

SEC("xdp")
int sanity(struct xdp_md *ctx)
{
	struct packet packet = {};

	switch (read_packet(ctx, &packet)) {
	case PACKET_OTHER:
		return XDP_PASS;
	case PACKET_MALFORMED:
		return check_header ? XDP_DROP : XDP_PASS;
	case PACKET_IP:
		return flaw_of(&packet) ? XDP_DROP : XDP_PASS;
	}
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
