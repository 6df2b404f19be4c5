/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Who sends most: a table of bounded size with the senders and ports that are
 * seen most often, and what became of their packets.
 *
 * A talker in the table is counted by atomic additions, without a lock. Each
 * has a seat, of which there are as many as entries in the table. Who is not in
 * the table votes against others who are not for one seat out of four (Boyer
 * and Moore), and who is ahead by some votes challenges its holder: so a flood
 * of senders that are seen once displaces nobody, and who has fallen silent
 * makes room.
 */
#ifndef __TALKERS_H__
#define __TALKERS_H__

#include "address.h"

struct talker {
	struct in6_addr source;
	__u32 port;
};

struct talk {
	__u64 passed_packets;
	__u64 passed_bytes;
	__u64 dropped_packets;
	__u64 dropped_bytes;
	/* How many packets it is ahead of those that want its seat. */
	__u64 votes;
};

#define SEATS	   4
#define SEAT_SETS  32
#define FEW_VOTES  8
#define MOST_VOTES 1024

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, SEATS *SEAT_SETS);
	__type(key, struct talker);
	__type(value, struct talk);
} talkers SEC(".maps");

/* Who is among the talkers, and who wants to be in its place. */
struct seat {
	struct talker holder;
	struct talker candidate;
	__u32 votes;
	__u32 is_taken;
};

/* Those that talkers with one hash may have. */
struct seats {
	struct bpf_spin_lock lock;
	__u32 is_changing;
	struct seat seats[SEATS];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SEAT_SETS);
	__type(key, __u32);
	__type(value, struct seats);
} talker_seats SEC(".maps");

static __always_inline void add_talk(struct talk *talk, bool is_passed,
				     __u64 packets, __u64 bytes)
{
	__u64 *to = is_passed ? &talk->passed_packets : &talk->dropped_packets;

	__sync_fetch_and_add(&to[0], packets);
	__sync_fetch_and_add(&to[1], bytes);
}

/*
 * Whether somebody who has no seat takes this one: one that is free, or one
 * that it was a candidate for more often than others were (Boyer and Moore),
 * and more often than its holder was seen since.
 */
static __always_inline bool wins(struct seat *seat, const struct talker *talker)
{
	struct talk *talk;

	if (!seat->is_taken)
		return true;
	if (!is_same(&seat->candidate.source, &talker->source) ||
	    seat->candidate.port != talker->port) {
		if (seat->votes) {
			seat->votes--;
			return false;
		}
		seat->candidate = *talker;
	}
	if (++seat->votes < FEW_VOTES)
		return false;
	seat->votes = 0;
	talk = bpf_map_lookup_elem(&talkers, &seat->holder);
	if (talk && talk->votes >= FEW_VOTES) {
		talk->votes -= FEW_VOTES;
		return false;
	}
	bpf_map_delete_elem(&talkers, &seat->holder);
	return true;
}

static __always_inline struct seat *choose(struct seats *set)
{
	for (int i = 0; i < SEATS; i++) {
		if (!set->seats[i].is_taken)
			return &set->seats[i];
	}
	return &set->seats[bpf_get_prandom_u32() % SEATS];
}

/* Each talker has one seat; whoever changes a set of them has it alone. */
static __always_inline void seat(const struct talker *talker,
				 const struct talk *talk)
{
	__u32 key = hash(&talker->source, talker->port) % SEAT_SETS;
	struct seats *set = bpf_map_lookup_elem(&talker_seats, &key);
	struct seat *seat;
	bool is_changing;

	if (!set)
		return;
	bpf_spin_lock(&set->lock);
	is_changing = set->is_changing;
	set->is_changing = true;
	bpf_spin_unlock(&set->lock);
	if (is_changing)
		return;
	seat = choose(set);
	if (wins(seat, talker)) {
		seat->holder = *talker;
		seat->is_taken = !bpf_map_update_elem(&talkers, talker, talk,
						      BPF_NOEXIST);
	}
	bpf_spin_lock(&set->lock);
	set->is_changing = false;
	bpf_spin_unlock(&set->lock);
}

/*
 * Counts one packet in `sample`, for all of them; `chance` is a number that
 * senders cannot choose, such as the time in nanoseconds.
 */
static __always_inline void note_talker(const struct in6_addr *source,
					__u16 port, __u64 bytes, bool is_passed,
					__u64 chance, __u32 sample)
{
	struct talk first = {};
	struct talker talker;
	struct talk *talk;

	/* The middle of a product with the golden ratio (Knuth, 6.4). */
	chance = (__u32)(chance * 0x9E3779B97F4A7C15ULL >> 32);
	if (chance * sample >> 32)
		return;
	talker.source = *source;
	talker.port = port;
	talk = bpf_map_lookup_elem(&talkers, &talker);
	if (talk) {
		add_talk(talk, is_passed, sample, bytes * sample);
		if (talk->votes < MOST_VOTES)
			talk->votes++;
		return;
	}
	first.votes = 1;
	add_talk(&first, is_passed, sample, bytes * sample);
	seat(&talker, &first);
}

#endif
