/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Blocks sources that send more than they may, for a time.
 *
 * What a source sends is estimated in a count-min sketch (Cormode and
 * Muthukrishnan, 2005): each row has one cell for it, found by a hash that
 * nobody outside knows, and the lowest cell counts. So memory is fixed, nothing
 * is ever evicted, and no source is taken for slower than it is.
 */
#ifndef __AUTOMATIC_H__
#define __AUTOMATIC_H__

#include "../include/packet.h"

#define SECOND_NS      1000000000ULL
#define SKETCH_ROWS    2
#define SKETCH_COLUMNS 65536

/* More than so many within a second block a source; 0: nothing does. */
const volatile __u64 block_packets_per_second = 0;
const volatile __u64 block_bytes_per_second = 0;
const volatile __u64 block_syns_per_second = 0;
const volatile __u32 block_seconds = 60;
/* Sources are as large as this. */
const volatile __u8 block_ipv4_bits = 32;
const volatile __u8 block_ipv6_bits = 64;

enum bound {
	BOUND_PACKETS,
	BOUND_BYTES,
	BOUND_SYNS,
};

struct sketch_cell {
	__u64 since_ns;
	__u64 packets;
	__u64 bytes;
	__u64 syns;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SKETCH_ROWS *SKETCH_COLUMNS);
	__type(key, __u32);
	__type(value, struct sketch_cell);
} sketch SEC(".maps");

struct automatic_block {
	/* CLOCK_MONOTONIC. */
	__u64 until_ns;
	/* How many there were when it was blocked. */
	__u64 count;
	__u32 bound;
	__u32 reserved;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, struct in6_addr);
	__type(value, struct automatic_block);
} automatic_blocks SEC(".maps");

enum block_event_kind {
	EVENT_BLOCKED,
	EVENT_EXPIRED,
	/* No event could be told: the buffer was full. */
	EVENT_LOST,
	EVENT_KINDS,
};

struct block_event {
	struct in6_addr source;
	__u32 kind;
	__u32 bound;
	__u64 count;
	__u64 until_ns;
};

/* Keeps the type in the object: maps of events name none. */
const struct block_event *unused_block_event __attribute__((unused));

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 256 * 1024);
} events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, EVENT_KINDS);
	__type(key, __u32);
	__type(value, __u64);
} block_changes SEC(".maps");

/* What the hash depends on; made by chance when the first packet comes. */
__u64 sketch_secret;

static __always_inline bool blocks_automatically(void)
{
	return block_packets_per_second || block_bytes_per_second ||
	       block_syns_per_second;
}

/* The source as a whole: with what is behind its prefix cleared. */
static __always_inline struct in6_addr whole_source(const struct packet *packet)
{
	struct in6_addr source = {};
	__u64 *half = (__u64 *)&source;
	__u8 bits = block_ipv6_bits;

	if (packet->ipv4) {
		map_ipv4(packet->ipv4->saddr &
				 bpf_htonl(~0U << (32 - block_ipv4_bits)),
			 &source);
		return source;
	}
	if (!packet->ipv6)
		return source;
	source = packet->ipv6->saddr;
	if (bits <= 64) {
		half[0] &= bpf_cpu_to_be64(~0ULL << (64 - bits));
		half[1] = 0;
	} else {
		half[1] &= bpf_cpu_to_be64(~0ULL << (128 - bits));
	}
	return source;
}

static __always_inline void tell_change(const struct in6_addr *source,
					enum block_event_kind kind,
					const struct automatic_block *block)
{
	struct block_event *event =
		bpf_ringbuf_reserve(&events, sizeof(*event), 0);
	__u32 lost = EVENT_LOST, changed = kind;
	__u64 *count = bpf_map_lookup_elem(&block_changes, &changed);

	if (count)
		*count += 1;
	if (event) {
		event->source = *source;
		event->kind = kind;
		event->bound = block->bound;
		event->count = block->count;
		event->until_ns = block->until_ns;
		bpf_ringbuf_submit(event, 0);
		return;
	}
	count = bpf_map_lookup_elem(&block_changes, &lost);
	if (count)
		*count += 1;
}

/*
 * Whether a source is blocked at this time. One that was is told of.
 *
 * This and the next one are global functions, so that the verifier looks at
 * them once and not once for each kind of packet that leads here. In Linux 6.1
 * what they are given is no key of a map, but a copy is.
 */
__noinline bool is_blocked(const struct in6_addr *given, __u64 now_ns)
{
	struct automatic_block *found, block;
	struct in6_addr source;

	if (!given)
		return false;
	source = *given;
	found = bpf_map_lookup_elem(&automatic_blocks, &source);
	if (!found)
		return false;
	block = *found;
	if (now_ns < block.until_ns)
		return true;
	/* Who deletes it tells. */
	if (!bpf_map_delete_elem(&automatic_blocks, &source))
		tell_change(&source, EVENT_EXPIRED, &block);
	return false;
}

/* The finalizer of splitmix64 (Steele, Lea and Flood, 2014). */
static __always_inline __u64 mixed(__u64 bits)
{
	bits = (bits ^ bits >> 30) * 0xBF58476D1CE4E5B9ULL;
	bits = (bits ^ bits >> 27) * 0x94D049BB133111EBULL;
	return bits ^ bits >> 31;
}

static __always_inline __u64 sketch_hash(const struct in6_addr *source)
{
	const __u64 *half = (const __u64 *)source;
	__u64 secret = sketch_secret;

	if (!secret) {
		secret = (__u64)bpf_get_prandom_u32() << 32 |
			 bpf_get_prandom_u32() | 1;
		/* Whoever is first decides. */
		__sync_val_compare_and_swap(&sketch_secret, 0, secret);
		secret = sketch_secret;
	}
	return mixed(mixed(half[0] ^ secret) ^ half[1]);
}

/* Counts a packet in one cell, and lowers the estimate to what is in it. */
static __always_inline void tally(__u32 index, __u64 now_ns,
				  const struct sketch_cell *packet,
				  struct sketch_cell *estimate)
{
	struct sketch_cell *cell = bpf_map_lookup_elem(&sketch, &index);

	if (!cell)
		return;
	/*
	 * A second begins with the first packet behind the one before. Another
	 * processor may be a moment ahead.
	 */
	if (now_ns >= cell->since_ns + SECOND_NS) {
		cell->since_ns = now_ns;
		cell->packets = 0;
		cell->bytes = 0;
		cell->syns = 0;
	}
	if (block_packets_per_second) {
		__sync_fetch_and_add(&cell->packets, 1);
		if (cell->packets < estimate->packets)
			estimate->packets = cell->packets;
	}
	if (block_bytes_per_second) {
		__sync_fetch_and_add(&cell->bytes, packet->bytes);
		if (cell->bytes < estimate->bytes)
			estimate->bytes = cell->bytes;
	}
	if (block_syns_per_second && packet->syns) {
		__sync_fetch_and_add(&cell->syns, 1);
		if (cell->syns < estimate->syns)
			estimate->syns = cell->syns;
	}
}

/* Whether there is more than a bound; then `block` has it. */
static __always_inline bool is_above(__u64 count, __u64 most, enum bound bound,
				     struct automatic_block *block)
{
	if (!most || count == ~0ULL || count <= most)
		return false;
	block->bound = bound;
	block->count = count;
	return true;
}

/* Counts a packet of a source, and blocks the source if it was too much. */
__noinline bool is_too_much(const struct in6_addr *given, __u64 now_ns,
			    __u64 bytes, bool syn)
{
	struct sketch_cell packet = {.bytes = bytes, .syns = syn};
	struct sketch_cell estimate = {0, ~0ULL, ~0ULL, ~0ULL};
	struct automatic_block block = {};
	struct in6_addr source;
	__u64 hash;

	if (!given)
		return false;
	source = *given;
	hash = sketch_hash(&source);
	tally(hash % SKETCH_COLUMNS, now_ns, &packet, &estimate);
	tally(SKETCH_COLUMNS + (hash >> 32) % SKETCH_COLUMNS, now_ns, &packet,
	      &estimate);
	if (!is_above(estimate.packets, block_packets_per_second, BOUND_PACKETS,
		      &block) &&
	    !is_above(estimate.bytes, block_bytes_per_second, BOUND_BYTES,
		      &block) &&
	    !is_above(estimate.syns, block_syns_per_second, BOUND_SYNS, &block))
		return false;
	block.until_ns = now_ns + block_seconds * SECOND_NS;
	/* Of several processors that see it one tells. */
	if (!bpf_map_update_elem(&automatic_blocks, &source, &block,
				 BPF_NOEXIST))
		tell_change(&source, EVENT_BLOCKED, &block);
	return true;
}

#endif
