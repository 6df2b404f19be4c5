// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Counts packets into flows, for the program in user space that tells a
 * collector of them.
 *
 * There are two flow tables, and a number says which one packets are counted
 * into. User space turns to the other one, waits until no processor can still
 * be at work with the first (an RCU grace period), and then has that for
 * itself: nothing is ever read, deleted or counted at the same time. So no
 * packet is lost between reading and deleting, and what does not fit into a
 * table is counted as that.
 *
 * `flows_*` stand where packets are counted, `checkpoint_*` further down the
 * same chain: which checkpoints a packet reaches says where it left the chain.
 * They are one object, since they have one set of maps and parameters.
 */
#include "count.h"
#include "note.h"

static __always_inline bool is_chosen(struct flow_metering *metering)
{
	__u32 one_in = sampling_one_in;

	if (one_in <= 1)
		return true;
	if (sampling_random)
		return (__u64)bpf_get_prandom_u32() * one_in >> 32 == 0;
	return metering->observed % one_in == 0;
}

static __always_inline int observe(struct __sk_buff *ctx, __u8 direction)
{
	struct flow_metering *metering;
	__u32 first = 0, number, slot;
	struct flow_note *note;
	__u64 *turn;

	metering = bpf_map_lookup_elem(&flow_metering, &first);
	turn = bpf_map_lookup_elem(&flow_turn, &first);
	if (!metering || !turn)
		return TC_ACT_UNSPEC;
	if (checkpoints)
		ctx->cb[4] = UNNOTED;
	metering->observed++;
	if (!is_chosen(metering)) {
		metering->unsampled++;
		return TC_ACT_UNSPEC;
	}
	number = ++metering->notes | NOTED;
	slot = number % NOTES;
	note = bpf_map_lookup_elem(&flow_notes, &slot);
	if (!note)
		return TC_ACT_UNSPEC;
	note->number = number;
	note->turn = *(volatile __u64 *)turn;
	switch (take_note(ctx, direction, note)) {
	case PACKET_IP:
		break;
	case PACKET_MALFORMED:
		metering->malformed++;
		return TC_ACT_UNSPEC;
	default:
		metering->other++;
		return TC_ACT_UNSPEC;
	}
	if (!count(note, metering)) {
		metering->ignored_packets += note->packets;
		metering->ignored_bytes += note->bytes;
	} else if (checkpoints) {
		ctx->cb[4] = number;
	}
	return TC_ACT_UNSPEC;
}

/* The note of this packet, which was laid down in this very run. */
static __always_inline struct flow_note *noted(struct __sk_buff *ctx,
					       __u8 direction)
{
	__u32 number = ctx->cb[4], slot = number % NOTES;
	struct flow_note *note = bpf_map_lookup_elem(&flow_notes, &slot);
	__u32 interface;

	if (!(number & NOTED) || !note || note->number != number ||
	    note->key.direction != direction)
		return NULL;
	interface = direction ? note->key.egress_interface
			      : note->key.ingress_interface;
	return interface == ctx->ifindex ? note : NULL;
}

static __always_inline int check(struct __sk_buff *ctx, __u8 direction)
{
	__u32 first = 0, slot = position - 1;
	struct flow_metering *metering;
	struct flow_counts *found;
	struct flow_note *note;

	if (slot >= MAX_CHECKPOINTS || ctx->cb[4] == UNNOTED)
		return TC_ACT_UNSPEC;
	note = noted(ctx, direction);
	if (!note) {
		metering = bpf_map_lookup_elem(&flow_metering, &first);
		if (metering)
			metering->unnoted++;
		return TC_ACT_UNSPEC;
	}
	found = find(note->turn, &note->key);
	if (found) {
		__sync_fetch_and_add(&found->reached_packets[slot],
				     note->packets);
		__sync_fetch_and_add(&found->reached_bytes[slot], note->bytes);
	}
	return TC_ACT_UNSPEC;
}

SEC("tc")
int flows_ingress(struct __sk_buff *ctx)
{
	return observe(ctx, 0);
}

SEC("tc")
int flows_egress(struct __sk_buff *ctx)
{
	return observe(ctx, 1);
}

SEC("tc")
int checkpoint_ingress(struct __sk_buff *ctx)
{
	return check(ctx, 0);
}

SEC("tc")
int checkpoint_egress(struct __sk_buff *ctx)
{
	return check(ctx, 1);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
