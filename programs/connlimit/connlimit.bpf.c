// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Limits how many TCP connections a source, and a service, has at once.
 *
 * This half sees what clients send. A connection holds a place from the end of
 * its handshake on, until both sides have sent FIN, one of them RST, or it was
 * silent for too long. What the server says is told by connlimit_egress, which
 * is deployed besides where answers can be seen; without it, an acknowledgement
 * that follows the SYN completes the handshake, and the FIN of the client and a
 * short silence end the connection.
 */
#include "accounts.h"
#include "states.h"

/* What one source, and one service, may have at once. */
const volatile __u32 connections_per_source = 100;
const volatile __u32 connections_per_service = 1000000;
/* How many bits of an address make a source. */
const volatile __u8 source_bits_ipv4 = 32;
const volatile __u8 source_bits_ipv6 = 64;
/* Whether handshakes of the last second or two count for their source. */
const volatile bool count_handshakes = true;
/* How long a connection may be silent. */
const volatile __u32 idle_seconds = 3600;
/* The same when one side has closed it. */
const volatile __u32 half_closed_seconds = 60;
/* The same when the client has closed it and nobody sees the server. */
const volatile __u32 close_seconds = 5;

struct ipv4_prefix {
	__u32 length;
	__u8 address[4];
};

struct ipv6_prefix {
	__u32 length;
	__u8 address[16];
};

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 16384);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct ipv4_prefix);
	__type(value, __u32);
} source_limits_ipv4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 16384);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct ipv6_prefix);
	__type(value, __u32);
} source_limits_ipv6 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __be16);
	__type(value, __u32);
} port_limits SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, struct service);
	__type(value, __u32);
} service_limits SEC(".maps");

/* The first bits of the half of an address. */
static __always_inline __u64 first_bits(__u64 half, __u32 bits)
{
	if (bits >= 64)
		return half;
	return bits ? half & bpf_cpu_to_be64(~0ULL << (64 - bits)) : 0;
}

static __always_inline void find_source(const struct flow *flow,
					struct parties *parties)
{
	__u32 *limit;

	parties->source.kind = SOURCE;
	parties->source_limit = connections_per_source;
	if (is_ipv4(flow->source)) {
		struct ipv4_prefix prefix = {.length = 32};

		*(__u32 *)prefix.address = flow->source[1] >> 32;
		parties->source.address[1] =
			first_bits(flow->source[1], 32 + source_bits_ipv4);
		limit = bpf_map_lookup_elem(&source_limits_ipv4, &prefix);
	} else {
		struct ipv6_prefix prefix = {.length = 128};
		__u32 bits = source_bits_ipv6;

		__builtin_memcpy(prefix.address, flow->source,
				 sizeof(prefix.address));
		parties->source.address[0] = first_bits(flow->source[0], bits);
		if (bits > 64)
			parties->source.address[1] =
				first_bits(flow->source[1], bits - 64);
		limit = bpf_map_lookup_elem(&source_limits_ipv6, &prefix);
	}
	if (limit)
		parties->source_limit = *limit;
}

/* A service with a limit of its own, else all that is at its port. */
static __always_inline void find_service(const struct flow *flow,
					 struct parties *parties)
{
	__be16 port = flow->destination_port;
	struct service service = {.port = port};
	__u32 *limit;

	parties->service_limit = connections_per_service;
	parties->service.port = port;
	parties->service.kind = SERVICE;
	__builtin_memcpy(&service.address, flow->destination,
			 sizeof(service.address));
	limit = bpf_map_lookup_elem(&service_limits, &service);
	if (limit)
		__builtin_memcpy(parties->service.address, flow->destination,
				 sizeof(parties->service.address));
	else
		limit = bpf_map_lookup_elem(&port_limits, &port);
	if (limit)
		parties->service_limit = *limit;
}

/* Finds out whose places the flow of the segment takes. */
__noinline int find_parties(void)
{
	struct work *work = find_work();

	if (!work)
		return 0;
	__builtin_memset(&work->parties, 0, sizeof(work->parties));
	find_source(&work->segment.flow, &work->parties);
	find_service(&work->segment.flow, &work->parties);
	return 0;
}

static __always_inline int refuse_packet(__u32 event)
{
	count(event);
	return XDP_DROP;
}

/*
 * The way of a flow, else the one that was free; WAYS: it is not any more, or
 * another flow has the same tag. Under the lock.
 */
static __always_inline __u32 own_way(const struct connections *bucket,
				     const struct segment *segment, __u32 free)
{
	__u32 way = find_tag(bucket, segment->place.tag);

	if (way < WAYS && (!holds_place(bucket->states[way]) ||
			   same_flow(&bucket->ways[way], &segment->flow)))
		return way;
	if (way < WAYS || free >= WAYS || holds_place(bucket->states[free]))
		return WAYS;
	return free;
}

/* Writes a connection over what was there. */
static __always_inline void write_flow(struct connections *bucket, __u32 way,
				       const struct segment *segment)
{
	struct connection *connection = &bucket->ways[way];
	const struct flow *flow = &segment->flow;

	connection->source[0] = flow->source[0];
	connection->source[1] = flow->source[1];
	connection->destination[0] = flow->destination[0];
	connection->destination[1] = flow->destination[1];
	connection->source_port = flow->source_port;
	connection->destination_port = flow->destination_port;
	connection->next = segment->end;
	connection->seen_ms = segment->now_ms;
	connection->source_account = NO_ACCOUNT;
	connection->service_account = NO_ACCOUNT;
	bucket->tags[way] = segment->place.tag;
	bucket->active[way] = 0;
	bucket->marks[way] = 0;
}

enum noted {
	/* It is there already. */
	KNOWN,
	NEW,
	/* In the place of another handshake. */
	DISPLACING,
	NOWHERE,
};

/* Notes a SYN. */
__noinline int note_syn(__u32 number, __u32 free)
{
	struct connections *bucket = find_bucket(number);
	struct work *work = find_work();
	const struct segment *segment;
	int noted = NOWHERE;
	__u32 way;

	if (!bucket || !work)
		return NOWHERE;
	segment = &work->segment;
	bpf_spin_lock(&bucket->lock);
	way = own_way(bucket, segment, free);
	if (way >= WAYS)
		goto unlock;
	if (bucket->states[way] != CLOSED &&
	    same_flow(&bucket->ways[way], &segment->flow)) {
		noted = KNOWN;
		hear_syn(bucket, way, segment);
		goto unlock;
	}
	noted = bucket->states[way] == OPENING ? DISPLACING : NEW;
	write_flow(bucket, way, segment);
	bucket->ways[way].next = segment->seq + 1;
	bucket->ways[way].proof = segment->end;
	bucket->states[way] = OPENING;
unlock:
	bpf_spin_unlock(&bucket->lock);
	return noted;
}

/* The state of the connection in a bucket, as it is just now. */
static __always_inline __u8 state_in(__u32 number,
				     const struct segment *segment)
{
	const struct connections *bucket = find_bucket(number);
	__u32 way;

	if (!bucket)
		return FREE;
	way = find_way(bucket, &segment->flow, segment->place.tag);
	return way < WAYS ? bucket->states[way] : FREE;
}

/* Notes a SYN where there is room for it. */
static __always_inline int note_new_syn(const struct segment *segment)
{
	__u32 number = segment->place.bucket, other, free;
	struct connections *bucket;

	free = free_way(number, segment->now_ms);
	if (free < WAYS)
		return note_syn(number, free);
	other = other_bucket(segment->place);
	free = free_way(other, segment->now_ms);
	bucket = find_bucket(number);
	if (free >= WAYS || !bucket)
		return NOWHERE;
	bucket->spilled = 1;
	return note_syn(other, free);
}

/* A client asks for a connection. */
__noinline int begin(void)
{
	__u32 number = bucket_with_flow();
	struct work *work = find_work();
	__u8 state;
	int noted;

	if (!work)
		return XDP_PASS;
	state = state_in(number, &work->segment);
	if (!holds_place(state)) {
		find_parties();
		if (places_of_service(work) >= work->parties.service_limit)
			return refuse_packet(REFUSED_SERVICE);
		if (!begin_handshake(count_handshakes && state != OPENING))
			return refuse_packet(REFUSED_SOURCE);
	}
	noted = state == FREE ? note_new_syn(&work->segment)
			      : note_syn(number, WAYS);
	if (noted == NOWHERE)
		count(NO_ROOM);
	else if (noted != KNOWN)
		count(HANDSHAKE);
	if (noted == DISPLACING)
		count(DISPLACED);
	return XDP_PASS;
}

/* Writes down that a connection holds places; false: it does not. */
__noinline int settle(__u32 number, __u32 free, __u32 source, __u32 service)
{
	struct connections *bucket = find_bucket(number);
	struct work *work = find_work();
	struct connection *connection;
	const struct segment *segment;
	int holds = false;
	__u32 way;

	if (!bucket || !work)
		return false;
	segment = &work->segment;
	bpf_spin_lock(&bucket->lock);
	way = own_way(bucket, segment, free);
	/* On another processor a packet of it was faster. */
	if (way >= WAYS || holds_place(bucket->states[way]))
		goto unlock;
	connection = &bucket->ways[way];
	/* A flood of SYN had its way meanwhile. */
	if (!same_flow(connection, &segment->flow))
		write_flow(bucket, way, segment);
	connection->source_account = source;
	connection->service_account = service;
	connection->seen_ms = segment->now_ms;
	advance(connection, segment->end);
	bucket->active[way] = 0;
	bucket->marks[way] &= CLIENT_FIN | SERVER_FIN | ANSWERED | RESET;
	bucket->states[way] = bucket->marks[way] & ~ANSWERED ? CLOSING : OPEN;
	holds = true;
	if (segment->flags & FIN)
		holds = end_side(bucket, way, CLIENT_FIN) != RELEASE;
unlock:
	bpf_spin_unlock(&bucket->lock);
	return holds;
}

/* A handshake is complete, or a connection goes on that was taken for over. */
__noinline int admit(__u32 number, __u32 began)
{
	struct work *work = find_work();
	int source, service;
	__u32 free;

	if (!work)
		return XDP_PASS;
	find_parties();
	source = take(SOURCE, began);
	if (source == FULL)
		return refuse_packet(REFUSED_SOURCE);
	service = take(SERVICE, began);
	if (service == FULL) {
		give_back(source);
		return refuse_packet(REFUSED_SERVICE);
	}
	free = free_way(number, work->segment.now_ms);
	if (settle(number, free, source, service)) {
		count(ADMITTED);
		return XDP_PASS;
	}
	give_back(source);
	give_back(service);
	/* Another packet admitted it meanwhile; this one may be its end. */
	if (hear(number, false) == RELEASE)
		end_connection(work);
	return XDP_PASS;
}

/* What a client sends to a connection that is there. */
__noinline int follow(void)
{
	__u32 number = bucket_with_flow();
	struct work *work = find_work();

	if (!work || number >= NO_BUCKET)
		return XDP_PASS;
	switch (hear(number, false)) {
	case ADMIT:
		return admit(number, window_of(work->heard.began_ms));
	case RELEASE:
		end_connection(work);
		break;
	case ABANDON:
		find_parties();
		drop_handshake(window_of(work->heard.began_ms));
		break;
	case FOREIGN:
		count(FORGED);
		break;
	}
	return XDP_PASS;
}

/* The sweep: so many buckets in a millisecond, and at once. */
#define SWEPT_IN_MS   16
#define SWEPT_AT_ONCE 2048

static __always_inline bool is_over(const struct connections *bucket, __u32 way,
				    __u32 now_ms)
{
	const struct patience patience = {
		.idle_ms = idle_seconds * 1000,
		.half_closed_ms = half_closed_seconds * 1000,
		.close_ms = close_seconds * 1000,
	};
	__u32 silent_ms = now_ms - bucket->ways[way].seen_ms;

	/* Another processor may be a little ahead. */
	return (__s32)silent_ms > 0 &&
	       silent_ms > patience_of(bucket->states[way], bucket->marks[way],
				       &patience);
}

/* Takes a connection for over, if it still looks so. */
__noinline int expire(__u32 number, __u32 way, __u32 now_ms)
{
	struct connections *bucket = find_bucket(number);
	__u32 source = NO_ACCOUNT, service = NO_ACCOUNT;
	bool held = false;

	if (!bucket || way >= WAYS)
		return 0;
	bpf_spin_lock(&bucket->lock);
	if (bucket->states[way] != FREE && !bucket->active[way] &&
	    is_over(bucket, way, now_ms)) {
		held = holds_place(bucket->states[way]);
		source = bucket->ways[way].source_account;
		service = bucket->ways[way].service_account;
		bucket->states[way] = held ? CLOSED : FREE;
		bucket->marks[way] |= SILENT;
		bucket->ways[way].seen_ms = now_ms;
		if (!held)
			bucket->tags[way] = 0;
	}
	bpf_spin_unlock(&bucket->lock);
	if (held) {
		count(ENDED_SILENT);
		give_back(source);
		give_back(service);
	}
	return 0;
}

/*
 * Looks at the connections of a bucket; at most one of them expires. A global
 * function: the verifier looks at it once, and not in each turn of the sweep.
 */
__noinline int sweep_bucket(__u32 number, __u32 now_ms)
{
	struct connections *bucket;
	__u32 over = WAYS;

	bucket = find_bucket(number);
	if (!bucket || !*(__u64 *)bucket->states)
		return 0;
	for (__u32 way = 0; way < WAYS; way++) {
		if (bucket->active[way]) {
			bucket->active[way] = 0;
			bucket->ways[way].seen_ms = now_ms;
		} else if (bucket->states[way] != FREE &&
			   is_over(bucket, way, now_ms)) {
			over = way;
		}
	}
	if (over < WAYS)
		expire(number, over, now_ms);
	return 0;
}

/* Sweeps as many buckets as are due. */
__noinline int sweep(__u64 tick)
{
	struct common *common = find_common();
	__u32 now_ms = now_in_ms();
	__u32 cursor, due;

	if (!common)
		return 0;
	cursor = common->cursor;
	due = (now_ms - common->swept_ms) * SWEPT_IN_MS;
	if (now_ms - common->swept_ms > SWEPT_AT_ONCE / SWEPT_IN_MS)
		due = SWEPT_AT_ONCE;
	common->tick = tick;
	common->swept_ms = now_ms;
	common->cursor = cursor + due;
	for (__u32 i = 0; i < SWEPT_AT_ONCE && i < due; i++)
		sweep_bucket((cursor + i) & (CONNECTION_BUCKETS - 1), now_ms);
	return 0;
}

/* How long it is believed that the server's half is there. */
#define ANSWERS_MS 60000

/* All but packets of connections that hold places and go on. */
static __always_inline int look_closer(const struct segment *segment,
				       const struct common *common)
{
	struct work *work = find_work();
	__u64 now_ms = now_in_ms();

	if (!work)
		return XDP_PASS;
	work->segment = *segment;
	work->segment.now_ms = now_ms;
	work->segment.answers_seen = common->answered_ms &&
				     now_ms - common->answered_ms < ANSWERS_MS;
	if (!(segment->flags & SYN))
		return follow();
	return segment->flags & (ACK | RST | FIN) ? XDP_PASS : begin();
}

/*
 * Judges a segment. For each family by itself: what is known of the addresses
 * of IPv4 needs no instructions then.
 */
static __always_inline int judge(const struct packet *packet,
				 const struct tcphdr *tcp, bool ipv4)
{
	struct segment segment = {};
	struct connections *bucket;
	struct common *common;
	__u64 tick;
	__u32 way;

	if (!read_tcp(packet, tcp, &segment))
		return XDP_PASS;
	common = find_common();
	if (!common)
		return XDP_PASS;
	tick = bpf_jiffies64();
	if (tick != common->tick)
		sweep(tick);
	read_flow(packet, tcp, &segment.flow, ipv4);
	segment.place = place_of(&segment.flow, ipv4, common);
	if (segment.flags & (SYN | FIN | RST))
		return look_closer(&segment, common);
	bucket = find_bucket(segment.place.bucket);
	if (!bucket)
		return XDP_PASS;
	way = find_way_soon(bucket, &segment.flow, segment.place.tag);
	if (way >= WAYS && !bucket->spilled)
		return XDP_PASS;
	if (way >= WAYS || bucket->states[way] != OPEN)
		return look_closer(&segment, common);
	if (!bucket->active[way])
		bucket->active[way] = 1;
	advance(&bucket->ways[way], segment.end);
	return XDP_PASS;
}

SEC("xdp")
int connlimit(struct xdp_md *ctx)
{
	struct packet packet = {};
	struct tcphdr *tcp;

	if (read_packet(ctx, &packet) != PACKET_IP)
		return XDP_PASS;
	if (packet.protocol != IPPROTO_TCP || packet.fragment_offset)
		return XDP_PASS;
	tcp = packet.transport;
	if ((void *)(tcp + 1) > packet.end)
		return XDP_PASS;
	return packet.ipv4 ? judge(&packet, tcp, true)
			   : judge(&packet, tcp, false);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
