/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which backend a flow goes to. As long as the slot of a flow never changed its
 * backend, that is all there is to it, and nothing is remembered. In a slot
 * that did, flows of before stay with the backend of before, and new ones do
 * not: only those are remembered, one by one.
 */
#ifndef __CHOOSE_H__
#define __CHOOSE_H__

#include "flow.h"

#define NANOSECONDS	   1000000000ULL
#define FIRST_FLIGHT_BYTES 65536

static __always_inline struct target *find_target(__u32 backend)
{
	return bpf_map_lookup_elem(&targets, &backend);
}

static __always_inline __u32 seconds(void)
{
	return bpf_ktime_get_ns() / NANOSECONDS;
}

/* Whether a backend still takes packets of flows that it has. */
static __always_inline bool goes_on(const struct target *target)
{
	return target &&
	       (target->state == TARGET_OPEN || target->state == TARGET_DRAINS);
}

/* The backend that a flow is remembered with, 0 where it is no good. */
static __always_inline __u32 recall(const struct pin *pin)
{
	struct target *target;

	if (!pin)
		return 0;
	target = find_target(pin->backend);
	if (!goes_on(target) || target->incarnation != pin->incarnation)
		return 0;
	return pin->backend;
}

static __always_inline void remember(void *map, const struct flow *flow,
				     enum kind kind, __u32 backend)
{
	struct target *target = find_target(backend);
	struct pin pin = {.backend = backend};

	if (!backend || !target)
		return;
	pin.incarnation = target->incarnation;
	if (kind == KIND_DATAGRAM)
		pin.seen_s = seconds();
	bpf_map_update_elem(map, flow, &pin, BPF_ANY);
}

/*
 * A SYN in a flow that is remembered: its ports are used again, or somebody
 * made it up. So the flow stays where it is until the client goes on from that
 * SYN.
 */
static __always_inline void offer(struct pin *pin, __u32 backend,
				  __u32 sequence)
{
	struct target *target = find_target(backend);

	if (!target)
		return;
	pin->syn = sequence;
	pin->next_incarnation = target->incarnation;
	pin->next = backend;
}

static __always_inline void take_offer(struct pin *pin, __u32 sequence)
{
	/* The client sends that much, and no more, before it hears anything. */
	if (!pin->next || sequence - pin->syn - 1 >= FIRST_FLIGHT_BYTES)
		return;
	pin->backend = pin->next;
	pin->incarnation = pin->next_incarnation;
	pin->next = 0;
}

/*
 * Whether flows that nobody remembers are those of before: new ones are
 * remembered for as long as that.
 */
static __always_inline bool is_recent(const struct slot *slot, enum kind kind)
{
	__s32 window_s =
		kind == KIND_DATAGRAM ? datagram_affinity : connection_affinity;

	return (__s32)(seconds() - slot->changed_s) < window_s;
}

static __always_inline __u32 begin(const struct seen *seen,
				   const struct slot *slot, struct pin *pin)
{
	__u32 backend = recall(pin);

	if (backend)
		offer(pin, slot->now, seen->sequence);
	else if (is_recent(slot, seen->kind))
		remember(&begun, &seen->flow, seen->kind, slot->now);
	return slot->now;
}

/* What is remembered of a flow that is there; of UDP only what is not old. */
static __always_inline __u32 recall_flow(const struct seen *seen,
					 struct pin *pin)
{
	__u32 now_s;

	if (!pin)
		return 0;
	if (seen->kind == KIND_GOES_ON)
		take_offer(pin, seen->sequence);
	if (seen->kind == KIND_DATAGRAM) {
		now_s = seconds();
		if (now_s - pin->seen_s >= datagram_affinity)
			return 0;
		pin->seen_s = now_s;
	}
	return recall(pin);
}

/*
 * Where a flow belongs that nobody remembers, 0 where that is not known: of TCP
 * it would be one of a backend that is no more, and it ends.
 */
static __always_inline __u32 guess(const struct slot *slot, enum kind kind)
{
	if (goes_on(find_target(slot->before)))
		return slot->before;
	return kind == KIND_DATAGRAM ? slot->now : 0;
}

static __always_inline __u32 choose_changed(const struct seen *seen,
					    const struct slot *slot)
{
	struct pin *pin = bpf_map_lookup_elem(&pinned, &seen->flow);
	__u32 backend;

	if (seen->kind == KIND_BEGINS)
		return begin(seen, slot, pin);
	backend = recall_flow(seen, pin);
	if (backend)
		return backend;
	backend = recall(bpf_map_lookup_elem(&begun, &seen->flow));
	if (!backend) {
		if (!is_recent(slot, seen->kind))
			return slot->now;
		backend = guess(slot, seen->kind);
	}
	if (backend && seen->kind != KIND_ERROR)
		remember(&pinned, &seen->flow, seen->kind, backend);
	return backend ?: slot->now;
}

/* The number of a backend, 0 for none. */
static __always_inline __u32 choose(const struct seen *seen, __u32 pool_number,
				    __u32 hash)
{
	struct pool *pool = bpf_map_lookup_elem(&pools, &pool_number);
	struct chunk *chunk;
	struct slot slot;
	__u32 key, place;

	if (!pool || !pool->generation)
		return 0;
	place = (__u64)hash * TABLE_SLOTS >> 32;
	key = (pool_number * 2 + (pool->table & 1)) * TABLE_CHUNKS +
	      place / CHUNK_SLOTS;
	chunk = bpf_map_lookup_elem(&tables, &key);
	if (!chunk)
		return 0;
	slot = chunk->slots[place % CHUNK_SLOTS];
	if (!slot.before)
		return slot.now;
	return choose_changed(seen, &slot);
}

#endif
