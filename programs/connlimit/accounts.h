/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Places of sources and services. An account that holds places stays where it
 * is; one that holds none gives way to others, so that made-up sources never
 * push out real ones. Handshakes are counted by the window of time in which
 * they began, and are forgotten with it: nothing has to give them back.
 */
#ifndef __ACCOUNTS_H__
#define __ACCOUNTS_H__

#include "states.h"

/* A window, as a power of two of milliseconds: a handshake counts for one
 * window at least, and for less than two.
 */
#define WINDOW_SHIFT 10

static __always_inline __u32 window_of(__u32 ms)
{
	return ms >> WINDOW_SHIFT;
}

static __always_inline struct accounts *bucket_of(const struct holder *holder,
						  const struct common *common,
						  __u32 *number)
{
	const __u32 *keys = common->keys;
	__u32 rest = (__u32)holder->kind << 16 | holder->port;
	__u64 sum = product_of(holder->address[0], keys + 2);

	sum += product_of(holder->address[1], keys + 4);
	sum += product(rest, keys[6], 0, keys[7]);
	*number = spread(sum) & (ACCOUNT_BUCKETS - 1);
	return bpf_map_lookup_elem(&connlimit_accounts, number);
}

static __always_inline bool same_holder(const struct holder *a,
					const struct holder *b)
{
	return a->address[1] == b->address[1] &&
	       a->address[0] == b->address[0] && a->port == b->port &&
	       a->kind == b->kind;
}

/* The way of a holder; WAYS: none. */
static __always_inline __u32 find_account(const struct accounts *bucket,
					  const struct holder *holder)
{
	__u32 way = 0, found = 0;

#pragma unroll
	for (__u32 i = 0; i < WAYS; i++) {
		const struct holder *other = &bucket->ways[i].holder;
		__u32 is_it = is_zero((other->address[0] ^ holder->address[0]) |
				      (other->address[1] ^ holder->address[1]) |
				      (other->port ^ holder->port) |
				      (other->kind ^ holder->kind));

		way += is_it * i;
		found |= is_it;
	}
	return found ? way : WAYS;
}

/* The account that has held no places for the longest time; WAYS: none. */
__noinline int idle_account(__u32 number, __u32 window)
{
	const struct accounts *bucket;
	__u32 best = WAYS, oldest = 0;

	bucket = bpf_map_lookup_elem(&connlimit_accounts, &number);
	if (!bucket)
		return WAYS;
	for (__u32 way = 0; way < WAYS; way++) {
		__u32 age = window - bucket->ways[way].window;

		if (bucket->ways[way].places || (best < WAYS && age <= oldest))
			continue;
		best = way;
		oldest = age;
	}
	return best;
}

/*
 * The way of a holder, made at the idle one if need be; WAYS: others hold all
 * places. Under the lock.
 */
static __always_inline __u32 open_account(struct accounts *bucket,
					  const struct holder *holder,
					  __u32 idle, __u32 window)
{
	__u32 way = find_account(bucket, holder);
	struct account *account;

	if (way < WAYS)
		return way;
	/* It was looked for before the bucket was locked. */
	if (idle >= WAYS || bucket->ways[idle].places)
		return WAYS;
	account = &bucket->ways[idle];
	account->holder = *holder;
	account->window = window;
	account->handshakes[0] = 0;
	account->handshakes[1] = 0;
	return idle;
}

/* Forgets handshakes of windows that are over. */
static __always_inline void turn_window(struct account *account, __u32 window)
{
	__u32 windows = window - account->window;

	if (!windows)
		return;
	account->handshakes[window & 1] = 0;
	if (windows > 1)
		account->handshakes[(window & 1) ^ 1] = 0;
	account->window = window;
}

/* The handshake that began in a window is over. */
static __always_inline void end_handshake(struct account *account, __u32 began)
{
	if (account->window - began <= 1 && account->handshakes[began & 1])
		account->handshakes[began & 1]--;
}

/* Shows people how many places somebody holds. */
static __always_inline void show(const struct holder *holder, __u32 places)
{
	struct service service = {.port = holder->port};

	__builtin_memcpy(&service.address, holder->address,
			 sizeof(service.address));
	if (holder->kind == SERVICE && places)
		bpf_map_update_elem(&services, &service, &places, BPF_ANY);
	else if (holder->kind == SERVICE)
		bpf_map_delete_elem(&services, &service);
	else if (places)
		bpf_map_update_elem(&sources, &service.address, &places,
				    BPF_ANY);
	else
		bpf_map_delete_elem(&sources, &service.address);
}

/*
 * The same, until it is still so afterwards: whoever changed the account
 * meanwhile may have been faster to tell.
 */
static __always_inline void show_account(const struct account *account,
					 const struct holder *holder)
{
	for (int i = 0; i < 4; i++) {
		const volatile struct account *now = account;
		__u32 places = 0;

		if (same_holder(&account->holder, holder))
			places = now->places;
		show(holder, places);
		if (now->places == places)
			break;
	}
}

/* What came of asking for a place, where it is not the account. */
enum {
	/* The holder has as many as it may. */
	FULL = -1,
	/* There is no account left. */
	UNCOUNTED = -2,
};

/* Takes a place for a party; its handshake began in a window, and is over. */
__noinline int take(__u32 kind, __u32 began)
{
	__u32 number, limit, idle, way, window = window_of(now_in_ms());
	struct common *common = find_common();
	struct work *work = find_work();
	const struct holder *holder;
	struct accounts *bucket;
	int taken = UNCOUNTED;

	if (!common || !work)
		return UNCOUNTED;
	holder =
		kind == SOURCE ? &work->parties.source : &work->parties.service;
	limit = kind == SOURCE ? work->parties.source_limit
			       : work->parties.service_limit;
	bucket = bucket_of(holder, common, &number);
	if (!bucket)
		return UNCOUNTED;
	idle = idle_account(number, window);
	bpf_spin_lock(&bucket->lock);
	way = open_account(bucket, holder, idle, window);
	if (way < WAYS) {
		turn_window(&bucket->ways[way], window);
		end_handshake(&bucket->ways[way], began);
		taken = FULL;
		if (bucket->ways[way].places < limit) {
			bucket->ways[way].places++;
			taken = number * WAYS + way;
		}
	}
	bpf_spin_unlock(&bucket->lock);
	if (way < WAYS && taken != FULL)
		show_account(&bucket->ways[way], holder);
	else if (way >= WAYS)
		count(NO_ROOM);
	return taken;
}

/* Gives a place back. */
__noinline int give_back(__u32 account)
{
	__u32 number = account / WAYS, way = account % WAYS;
	struct accounts *bucket;
	struct holder holder;

	/* UNCOUNTED is behind all of them. */
	bucket = bpf_map_lookup_elem(&connlimit_accounts, &number);
	if (!bucket)
		return 0;
	bpf_spin_lock(&bucket->lock);
	holder = bucket->ways[way].holder;
	if (bucket->ways[way].places)
		bucket->ways[way].places--;
	bpf_spin_unlock(&bucket->lock);
	show_account(&bucket->ways[way], &holder);
	return 0;
}

/* The connection that was heard ended: its places go back. */
static __always_inline void end_connection(const struct work *work)
{
	count(work->segment.flags & RST ? ENDED_RESET : ENDED_FIN);
	give_back(work->heard.source_account);
	give_back(work->heard.service_account);
}

/* Whether the source may begin a handshake, which counts from then on. */
__noinline int begin_handshake(bool counted)
{
	__u32 number, idle, way, window = window_of(now_in_ms());
	struct common *common = find_common();
	struct work *work = find_work();
	struct accounts *bucket;
	struct account *account;
	int may_begin = true;

	if (!common || !work)
		return true;
	bucket = bucket_of(&work->parties.source, common, &number);
	if (!bucket)
		return true;
	idle = idle_account(number, window);
	bpf_spin_lock(&bucket->lock);
	way = open_account(bucket, &work->parties.source, idle, window);
	if (way < WAYS) {
		__u64 used;

		account = &bucket->ways[way];
		turn_window(account, window);
		used = account->places;
		if (counted)
			used += account->handshakes[0] + account->handshakes[1];
		may_begin = used < work->parties.source_limit;
		if (may_begin && counted &&
		    account->handshakes[window & 1] < 65535)
			account->handshakes[window & 1]++;
	}
	bpf_spin_unlock(&bucket->lock);
	return may_begin;
}

/* A handshake of the source came to nothing. */
__noinline int drop_handshake(__u32 began)
{
	struct common *common = find_common();
	struct work *work = find_work();
	struct accounts *bucket;
	__u32 number, way;

	if (!common || !work)
		return 0;
	bucket = bucket_of(&work->parties.source, common, &number);
	if (!bucket)
		return 0;
	bpf_spin_lock(&bucket->lock);
	way = find_account(bucket, &work->parties.source);
	if (way < WAYS)
		end_handshake(&bucket->ways[way], began);
	bpf_spin_unlock(&bucket->lock);
	return 0;
}

/* How many places the service holds. */
static __always_inline __u32 places_of_service(struct work *work)
{
	struct common *common = find_common();
	struct accounts *bucket;
	__u32 number, way;

	if (!common)
		return 0;
	bucket = bucket_of(&work->parties.service, common, &number);
	if (!bucket)
		return 0;
	way = find_account(bucket, &work->parties.service);
	return way < WAYS ? bucket->ways[way].places : 0;
}

#endif
