// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Limits the connections, packets and bytes that reach each port, that come
 * from each sender, or both.
 *
 * Each of them has an allowance: the times when its next connection, packet and
 * byte are due (rate.h). What is ahead of its time by more than the burst
 * allows is dropped. An allowance that owes nothing is the same as one that was
 * never used, so it can be forgotten without anybody noticing; one that owes
 * something is never forgotten.
 */
#include "../include/address.h"
#include "../include/packet.h"
#include "../include/rate.h"
#include "../include/talkers.h"

/* Rates from here on are no limits. */
#define ANY_COUNT 1000000000U
#define ANY_BYTES 1000000000000ULL

/* Who has an allowance of its own. */
enum {
	PER_PORT,
	PER_SOURCE,
	PER_SOURCE_AND_PORT
};

#define ANY_PROTOCOL 0

const volatile __u32 per = PER_PORT;
const volatile __u32 connections_per_second = 100;
const volatile __u32 packets_per_second = ANY_COUNT;
const volatile __u64 bytes_per_second = ANY_BYTES;
/* How many at once after a quiet time; 0: as many as in one second. */
const volatile __u32 burst = 0;
const volatile __u32 packet_burst = 0;
const volatile __u32 byte_burst = 0;
/* Port 0 is that of packets which have none. */
const volatile __u16 first_port = 0;
const volatile __u16 last_port = 65535;
const volatile __u8 protocol = ANY_PROTOCOL;
/* Senders that are the same in so many leading bits are one. */
const volatile __u8 source_bits_ipv4 = 32;
const volatile __u8 source_bits_ipv6 = 64;
/* One in so many packets is counted among the talkers; 0: none is. */
const volatile __u32 talkers_sample = 16;

/* A rate of 0 is what holds otherwise, with its burst. */
#define LIMIT                                                                  \
	__u64 bytes;                                                           \
	__u32 byte_burst;                                                      \
	__u32 connections;                                                     \
	__u32 connection_burst;                                                \
	__u32 packets;                                                         \
	__u32 packet_burst

struct limit {
	LIMIT;
};

/* Of senders, and how many bits those share that are one; 0: as above. */
struct source_limit {
	LIMIT;
	__u32 bits;
};

/* An array, since even a hash without entries costs as much as all headers. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 65536);
	__type(key, __u32);
	__type(value, struct limit);
} ports SEC(".maps");

struct prefix_ipv4 {
	__u32 bits;
	__be32 address;
};

struct prefix_ipv6 {
	__u32 bits;
	struct in6_addr address;
};

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct prefix_ipv4);
	__type(value, struct source_limit);
} sources_ipv4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct prefix_ipv6);
	__type(value, struct source_limit);
} sources_ipv6 SEC(".maps");

/* A lock, since compare-and-swap needs Linux 5.12 and may have to give up. */
struct allowance {
	struct bpf_spin_lock lock;
	__u8 due_parts[METERS];
	__u64 due_ns[METERS];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 65536);
	__type(key, __u32);
	__type(value, struct allowance);
} ratelimit_ports SEC(".maps");

/* Who an allowance is for. Addresses of IPv4 are mapped into IPv6. */
struct owner {
	struct in6_addr source;
	__u16 port;
	__u8 bits;
};

struct slot {
	struct owner owner;
	__u8 due_parts[METERS];
	__u64 due_ns[METERS];
};

#define SLOTS	  8
#define SLOT_SETS 8192

/* Owners with one hash; what is beside the slots is for those without one. */
struct slots {
	struct bpf_spin_lock lock;
	__u8 due_parts[METERS];
	__u64 due_ns[METERS];
	struct slot slots[SLOTS];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SLOT_SETS);
	__type(key, __u32);
	__type(value, struct slots);
} ratelimit_sources SEC(".maps");

/* What became of a packet to which a limit applies. */
enum outcome {
	OVER_CONNECTIONS = CONNECTIONS,
	OVER_PACKETS = PACKETS,
	OVER_BYTES = BYTES,
	PASSED = METERS,
	/* By the allowance of those who found no slot of their own. */
	OVER_CROWDED,
	PASSED_CROWDED,
	OUTCOMES,
};

struct traffic {
	__u64 packets;
	__u64 bytes;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, OUTCOMES);
	__type(key, __u32);
	__type(value, struct traffic);
} outcomes SEC(".maps");

/* What a packet is to the limits. */
struct arrival {
	__u64 now_ns;
	/* Where the header of IP begins; pointers would not outlive calls. */
	__u32 ip_offset;
	__u16 port;
	__u8 protocol;
	bool is_ipv6;
	bool is_connection;
	/* Whether the allowance is the sender's, or that of the port alone. */
	bool by_source;
};

/*
 * What a packet takes, and of whose allowance. It is kept in a map, where the
 * verifier does not tell each way to a value from all others.
 */
struct order {
	struct charge charge;
	struct owner owner;
	/* Of the frame, as interfaces count it. */
	__u32 bytes;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct order);
} orders SEC(".maps");

/* A SYN without ACK is a new connection. */
static __always_inline void read_arrival(const struct packet *packet,
					 struct arrival *arrival)
{
	struct tcphdr *tcp = packet->transport;
	struct udphdr *udp = packet->transport;

	arrival->protocol = packet->protocol;
	arrival->is_ipv6 = packet->ipv6;
	arrival->ip_offset = sizeof(struct ethhdr) +
			     packet->vlan_tags * sizeof(struct vlan_hdr);
	if (packet->fragment_offset || (void *)(udp + 1) > packet->end)
		return;
	if (packet->protocol == IPPROTO_TCP) {
		arrival->port = bpf_ntohs(udp->dest);
		if ((void *)(tcp + 1) <= packet->end)
			arrival->is_connection = tcp->syn && !tcp->ack;
	} else if (packet->protocol == IPPROTO_UDP ||
		   packet->protocol == IPPROTO_SCTP) {
		arrival->port = bpf_ntohs(udp->dest);
	}
}

static __always_inline bool applies(const struct limit *limit,
				    const struct arrival *arrival)
{
	return limit->packets < ANY_COUNT || limit->bytes < ANY_BYTES ||
	       (arrival->is_connection && limit->connections < ANY_COUNT);
}

/* Leaves most packets alone at once where connections are all that counts. */
static __always_inline bool may_apply(const struct limit *of_port,
				      const struct arrival *arrival)
{
	return arrival->is_connection ||
	       (of_port && (of_port->packets || of_port->bytes)) ||
	       packets_per_second < ANY_COUNT || bytes_per_second < ANY_BYTES;
}

static __always_inline bool is_in_range(const struct arrival *arrival)
{
	return arrival->port >= first_port && arrival->port <= last_port &&
	       (protocol == ANY_PROTOCOL || arrival->protocol == protocol);
}

static __always_inline void read_defaults(struct limit *limit)
{
	limit->connections = connections_per_second;
	limit->connection_burst = burst;
	limit->packets = packets_per_second;
	limit->packet_burst = packet_burst;
	limit->bytes = bytes_per_second;
	limit->byte_burst = byte_burst;
}

static __always_inline void replace(struct limit *limit,
				    const struct limit *entry)
{
	if (entry->connections) {
		limit->connections = entry->connections;
		limit->connection_burst = entry->connection_burst;
	}
	if (entry->packets) {
		limit->packets = entry->packets;
		limit->packet_burst = entry->packet_burst;
	}
	if (entry->bytes) {
		limit->bytes = entry->bytes;
		limit->byte_burst = entry->byte_burst;
	}
}

static __always_inline struct source_limit *
limit_of_source(const struct in6_addr *source, bool is_ipv6)
{
	struct prefix_ipv4 ipv4;
	struct prefix_ipv6 ipv6;

	if (is_ipv6) {
		ipv6.bits = 128;
		ipv6.address = *source;
		return bpf_map_lookup_elem(&sources_ipv6, &ipv6);
	}
	ipv4.bits = 32;
	ipv4.address = source->in6_u.u6_addr32[3];
	return bpf_map_lookup_elem(&sources_ipv4, &ipv4);
}

/*
 * The limit of a packet: what the entry of its sender says, else that of its
 * port, else the parameters. False where none applies.
 */
static __always_inline bool find_limit(const struct limit *of_port,
				       struct owner *owner,
				       struct arrival *arrival,
				       struct limit *limit)
{
	struct source_limit *of_source;

	read_defaults(limit);
	if (of_port)
		replace(limit, of_port);
	/* Senders with an entry do not use up what the port has for all. */
	if (per == PER_PORT && !applies(limit, arrival))
		return false;
	owner->bits = arrival->is_ipv6 ? source_bits_ipv6 : source_bits_ipv4;
	of_source = limit_of_source(&owner->source, arrival->is_ipv6);
	if (of_source) {
		replace(limit, (struct limit *)of_source);
		if (of_source->bits)
			owner->bits = of_source->bits;
	}
	arrival->by_source = per != PER_PORT || of_source;
	return applies(limit, arrival);
}

/* How long the frame is, and who it is from. */
static __always_inline bool read_order(struct xdp_md *ctx,
				       const struct arrival *arrival,
				       struct order *order)
{
	/* Behind the Ethernet header and two tags at most. */
	void *ip = (void *)(long)ctx->data + (arrival->ip_offset & 31);
	void *end = (void *)(long)ctx->data_end;
	struct ipv6hdr *ipv6 = ip;
	struct iphdr *ipv4 = ip;

	order->bytes = distance((void *)(long)ctx->data, end);
	if (arrival->is_ipv6) {
		if ((void *)(ipv6 + 1) > end)
			return false;
		order->owner.source = ipv6->saddr;
		return true;
	}
	if ((void *)(ipv4 + 1) > end)
		return false;
	map_ipv4(ipv4->saddr, &order->owner.source);
	return true;
}

/* Makes those one that share as many bits as it is to be. */
static __always_inline void settle_owner(const struct arrival *arrival,
					 struct owner *owner)
{
	__u32 bits = owner->bits;

	if (!arrival->is_ipv6)
		bits += 96;
	mask(&owner->source, bits);
	owner->port = per == PER_SOURCE ? 0 : arrival->port;
	owner->bits = bits;
}

/* PASSED, or the limit that lets nothing pass at all. */
static __always_inline enum outcome read_charge(const struct limit *limit,
						const struct arrival *arrival,
						struct order *order)
{
	struct charge *charge = &order->charge;

	charge->cost[CONNECTIONS] = 0;
	charge->cost[PACKETS] = 0;
	charge->cost[BYTES] = 0;
	if (arrival->is_connection && limit->connections < ANY_COUNT) {
		if (!limit->connections)
			return OVER_CONNECTIONS;
		charge_units(charge, CONNECTIONS, 1, limit->connections,
			     limit->connection_burst);
	}
	if (limit->packets < ANY_COUNT) {
		if (!limit->packets)
			return OVER_PACKETS;
		charge_units(charge, PACKETS, 1, limit->packets,
			     limit->packet_burst);
	}
	if (limit->bytes < ANY_BYTES) {
		if (!limit->bytes)
			return OVER_BYTES;
		charge_units(charge, BYTES, order->bytes, limit->bytes,
			     limit->byte_burst);
	}
	return PASSED;
}

/*
 * The times only ever move on, so what old ones refuse new ones refuse too: a
 * flood is dropped without touching the lock. The same for senders.
 */
static __always_inline enum outcome
take_from_port(const struct arrival *arrival, const struct charge *charge)
{
	__u32 port = arrival->port;
	struct allowance *allowance;
	enum outcome outcome;

	allowance = bpf_map_lookup_elem(&ratelimit_ports, &port);
	if (!allowance)
		return PASSED;
	outcome = exceeded(allowance->due_ns, charge, arrival->now_ns);
	if (outcome != PASSED)
		return outcome;
	bpf_spin_lock(&allowance->lock);
	outcome = exceeded(allowance->due_ns, charge, arrival->now_ns);
	if (outcome == PASSED)
		pay(allowance->due_ns, allowance->due_parts, charge,
		    arrival->now_ns);
	bpf_spin_unlock(&allowance->lock);
	return outcome;
}

static __always_inline bool is_of(const struct slot *slot,
				  const struct owner *owner)
{
	return is_same(&slot->owner.source, &owner->source) &&
	       slot->owner.port == owner->port &&
	       slot->owner.bits == owner->bits;
}

/* Whether forgetting it changes nothing. */
static __always_inline bool is_free(const struct slot *slot, __u64 now_ns)
{
	return slot->due_ns[CONNECTIONS] <= now_ns &&
	       slot->due_ns[PACKETS] <= now_ns && slot->due_ns[BYTES] <= now_ns;
}

/*
 * Judges without the lock. Times are read before the owner, and a new owner is
 * written before its times, so that times of one are not held against another.
 */
static __always_inline enum outcome
foresee(struct slots *set, const struct order *order, __u64 now_ns)
{
	bool has_room = false;

	for (int i = 0; i < SLOTS; i++) {
		struct slot *slot = &set->slots[i];
		enum outcome outcome;

		outcome = exceeded(slot->due_ns, &order->charge, now_ns);
		has_room |= is_free(slot, now_ns);
		barrier();
		if (is_of(slot, &order->owner))
			return outcome;
	}
	if (has_room || exceeded(set->due_ns, &order->charge, now_ns) == METERS)
		return PASSED;
	return OVER_CROWDED;
}

/* The slot of an owner, else one that is free, else SLOTS. Under the lock. */
static __always_inline __u32 find_slot(struct slots *set,
				       const struct owner *owner, __u64 now_ns)
{
	__u32 found = SLOTS;

	for (int i = 0; i < SLOTS; i++) {
		if (is_of(&set->slots[i], owner))
			return i;
		if (is_free(&set->slots[i], now_ns))
			found = i;
	}
	return found;
}

static __always_inline enum outcome
take_from_slot(struct slot *slot, const struct order *order, __u64 now_ns)
{
	enum outcome outcome;

	slot->owner.source = order->owner.source;
	slot->owner.port = order->owner.port;
	slot->owner.bits = order->owner.bits;
	barrier();
	outcome = exceeded(slot->due_ns, &order->charge, now_ns);
	if (outcome == PASSED)
		pay(slot->due_ns, slot->due_parts, &order->charge, now_ns);
	return outcome;
}

static __always_inline enum outcome
take_from_rest(struct slots *set, const struct order *order, __u64 now_ns)
{
	if (exceeded(set->due_ns, &order->charge, now_ns) != METERS)
		return OVER_CROWDED;
	pay(set->due_ns, set->due_parts, &order->charge, now_ns);
	return PASSED_CROWDED;
}

static __always_inline enum outcome take_from_source(const struct order *order,
						     __u64 now_ns)
{
	const struct owner *owner = &order->owner;
	enum outcome outcome;
	struct slots *set;
	__u32 key, found;

	key = hash(&owner->source, owner->port << 8 | owner->bits) % SLOT_SETS;
	set = bpf_map_lookup_elem(&ratelimit_sources, &key);
	if (!set)
		return PASSED;
	outcome = foresee(set, order, now_ns);
	if (outcome != PASSED)
		return outcome;
	bpf_spin_lock(&set->lock);
	found = find_slot(set, owner, now_ns);
	if (found < SLOTS)
		outcome = take_from_slot(&set->slots[found], order, now_ns);
	else
		outcome = take_from_rest(set, order, now_ns);
	bpf_spin_unlock(&set->lock);
	return outcome;
}

static __always_inline void count(enum outcome outcome, __u32 bytes)
{
	__u32 key = outcome;
	struct traffic *traffic = bpf_map_lookup_elem(&outcomes, &key);

	if (!traffic)
		return;
	traffic->packets++;
	traffic->bytes += bytes;
}

/* Whether a packet passes to which a limit may apply. */
static __always_inline bool passes(struct xdp_md *ctx, struct arrival *arrival,
				   const struct limit *of_port)
{
	__u32 key = 0;
	struct order *order = bpf_map_lookup_elem(&orders, &key);
	enum outcome outcome;
	struct limit limit;
	bool is_passed;

	if (!order || !read_order(ctx, arrival, order) ||
	    !find_limit(of_port, &order->owner, arrival, &limit))
		return true;
	arrival->now_ns = bpf_ktime_get_ns();
	settle_owner(arrival, &order->owner);
	outcome = read_charge(&limit, arrival, order);
	if (outcome == PASSED)
		outcome = arrival->by_source
				  ? take_from_source(order, arrival->now_ns)
				  : take_from_port(arrival, &order->charge);
	is_passed = outcome == PASSED || outcome == PASSED_CROWDED;
	count(outcome, order->bytes);
	if (talkers_sample)
		note_talker(&order->owner.source, arrival->port, order->bytes,
			    is_passed, arrival->now_ns, talkers_sample);
	return is_passed;
}

SEC("xdp")
int ratelimit(struct xdp_md *ctx)
{
	struct arrival arrival = {};
	struct packet packet = {};
	struct limit *of_port;
	__u32 port;

	if (read_packet(ctx, &packet) != PACKET_IP)
		return XDP_PASS;
	read_arrival(&packet, &arrival);
	port = arrival.port;
	of_port = per == PER_SOURCE ? NULL : bpf_map_lookup_elem(&ports, &port);
	if (per == PER_PORT && !may_apply(of_port, &arrival))
		return XDP_PASS;
	if (!is_in_range(&arrival))
		return XDP_PASS;
	return passes(ctx, &arrival, of_port) ? XDP_PASS : XDP_DROP;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
