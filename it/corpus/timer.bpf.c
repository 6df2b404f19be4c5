// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The first packet arms a timer, whose callback is a subprogram that nothing
 * calls and that outlives the run.
 */
#include "packet.h"

#define CLOCK_MONOTONIC 1
#define ONE_SECOND	1000000000ULL

/* The kernel finds it in a map value by this name. */
struct bpf_timer {
	__u64 opaque[2];
} __attribute__((aligned(8)));

struct alarm {
	struct bpf_timer timer;
	__u64 rings;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct alarm);
} timer_alarms SEC(".maps");

static int ring(void *map, __u32 *key, struct alarm *alarm)
{
	__sync_fetch_and_add(&alarm->rings, 1);
	return 0;
}

SEC("xdp")
int timer(struct xdp_md *ctx)
{
	struct alarm *alarm;
	__u32 zero = 0;
	void *end;
	__u8 *at;

	alarm = bpf_map_lookup_elem(&timer_alarms, &zero);
	if (!alarm)
		return XDP_ABORTED;
	/* Not 0 from the second packet on. */
	if (!bpf_timer_init(&alarm->timer, &timer_alarms, CLOCK_MONOTONIC)) {
		bpf_timer_set_callback(&alarm->timer, ring);
		bpf_timer_start(&alarm->timer, ONE_SECOND, 0);
	}
	at = (void *)(long)ctx->data;
	end = (void *)(long)ctx->data_end;
	if ((void *)(at + 14) > end)
		return XDP_ABORTED;
	at[11] += 1;
	return (at[5] + (__u32)(end - (void *)at)) % 3 + XDP_DROP;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
