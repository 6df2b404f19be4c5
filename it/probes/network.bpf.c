// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Programs on the way of packets and calls that are in no chain. */
#include "probe.h"

#define ALLOW  1
#define ACCEPT 1

SEC("cgroup_skb/egress")
int on_egress(void *context)
{
	return hit(0, ALLOW);
}

SEC("cgroup/skb")
int on_packet(void *context)
{
	return hit(0, ALLOW);
}

SEC("cgroup/sock_create")
int on_socket(void *context)
{
	return hit(0, ALLOW);
}

SEC("cgroup/connect4")
int on_connect4(void *context)
{
	return hit(0, ALLOW);
}

SEC("cgroup/connect6")
int on_connect6(void *context)
{
	return hit(0, ALLOW);
}

SEC("cgroup/sysctl")
int on_sysctl(void *context)
{
	return hit(0, ALLOW);
}

SEC("cgroup/dev")
int on_device(void *context)
{
	return hit(0, ALLOW);
}

SEC("cgroup/setsockopt")
int on_setsockopt(void *context)
{
	return hit(0, ALLOW);
}

SEC("sockops")
int on_socket_event(void *context)
{
	return hit(0, ALLOW);
}

SEC("sk_lookup")
int on_lookup(void *context)
{
	return hit(0, ALLOW);
}

SEC("netfilter")
int on_filter(void *context)
{
	return hit(0, ACCEPT);
}

/* The verdict of netkit that lets others decide. */
#define NETKIT_NEXT -1

SEC("netkit/primary")
int on_primary(void *context)
{
	return hit(0, NETKIT_NEXT);
}

SEC("netkit/peer")
int on_peer(void *context)
{
	return hit(0, NETKIT_NEXT);
}
