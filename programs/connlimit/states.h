/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What segments do to a connection that is known. All of it happens under the
 * lock of its bucket and calls nothing; what is to be done with places is told.
 */
#ifndef __STATES_H__
#define __STATES_H__

#include "tables.h"

/* Flags of TCP as they are on the wire (RFC 9293, section 3.1). */
enum {
	FIN = 0x01,
	SYN = 0x02,
	RST = 0x04,
	ACK = 0x10,
};

/* How far from what is expected a sequence number may be. */
#define NEAR_BYTES 65535
/* How far a connection may be ahead of what was seen of it. */
#define AHEAD_BYTES (1U << 24)

struct segment {
	struct flow flow;
	struct place place;
	__u32 seq;
	/* Behind its data, SYN and FIN. */
	__u32 end;
	__u32 ack;
	__u32 now_ms;
	__u8 flags;
	/* The server's half sees answers. */
	bool answers_seen;
};

/* The second half of ::ffff:0:0/96 and an address, as it lies in memory. */
static __always_inline __u64 mapped(__be32 address)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return (__u64)address << 32 | bpf_htonl(0xffff);
#else
	return 0xffffULL << 32 | address;
#endif
}

/* Addresses in packets lie at any multiple of 2. */
static __always_inline void read_half(__u64 *to, const struct in6_addr *from)
{
	to[0] = (__u64)from->in6_u.u6_addr32[1] << 32 |
		from->in6_u.u6_addr32[0];
	to[1] = (__u64)from->in6_u.u6_addr32[3] << 32 |
		from->in6_u.u6_addr32[2];
}

/* Reads a header that is there; false: it says that it ends before it ends. */
static __always_inline bool read_tcp(const struct packet *packet,
				     const struct tcphdr *tcp,
				     struct segment *segment)
{
	__u32 header_bytes = tcp->doff * 4;

	if (header_bytes < sizeof(*tcp) ||
	    header_bytes > packet->transport_bytes)
		return false;
	segment->flags = ((const __u8 *)tcp)[13];
	segment->seq = bpf_ntohl(tcp->seq);
	segment->ack = bpf_ntohl(tcp->ack_seq);
	segment->end = segment->seq + packet->transport_bytes - header_bytes;
	/* SYN and FIN take a number each. */
	segment->end += (segment->flags & SYN) / SYN + (segment->flags & FIN);
	return true;
}

/* What a client and a server call themselves, by the packet of a client. */
static __always_inline void read_flow(const struct packet *packet,
				      const struct tcphdr *tcp,
				      struct flow *flow, bool ipv4)
{
	flow->source_port = tcp->source;
	flow->destination_port = tcp->dest;
	if (ipv4) {
		flow->source[0] = 0;
		flow->source[1] = mapped(packet->ipv4->saddr);
		flow->destination[0] = 0;
		flow->destination[1] = mapped(packet->ipv4->daddr);
	} else if (packet->ipv6) {
		read_half(flow->source, &packet->ipv6->saddr);
		read_half(flow->destination, &packet->ipv6->daddr);
	}
}

enum step {
	/* Nothing. */
	STAY,
	/* It takes places, or is refused. */
	ADMIT,
	/* It gives its places back. */
	RELEASE,
	/* Its handshake came to nothing. */
	ABANDON,
	/* What came does not fit. */
	FOREIGN,
};

static __always_inline bool is_near(__u32 seq, __u32 expected)
{
	return seq - expected + NEAR_BYTES <= 2 * NEAR_BYTES;
}

/* The client was seen to be so far; what is out of all proportion is not. */
static __always_inline void advance(struct connection *connection, __u32 end)
{
	if (end - connection->next - 1 < AHEAD_BYTES)
		connection->next = end;
}

/* The server says how far the client is: as good as seen, if not better. */
static __always_inline void hear_server(struct connection *connection,
					__u32 ack)
{
	if (connection->next - ack > AHEAD_BYTES)
		connection->next = ack;
}

/* A segment of the client that may complete the handshake. */
static __always_inline enum step complete(const struct connection *connection,
					  __u8 marks,
					  const struct segment *segment)
{
	bool proven;

	if (segment->flags & RST)
		return segment->seq == connection->next ? ABANDON : FOREIGN;
	if (!(segment->flags & ACK))
		return STAY;
	if (marks & ANSWERED)
		proven =
			segment->ack == connection->proof || marks & EARLY_DATA;
	else
		proven = !segment->answers_seen &&
			 segment->seq - connection->next <= NEAR_BYTES;
	return proven ? ADMIT : STAY;
}

/* What is left of a connection when one side has ended it. */
static __always_inline enum step end_side(struct connections *bucket, __u32 way,
					  __u8 fin)
{
	bucket->marks[way] |= fin;
	if ((bucket->marks[way] & (CLIENT_FIN | SERVER_FIN)) !=
	    (CLIENT_FIN | SERVER_FIN)) {
		bucket->states[way] = CLOSING;
		return STAY;
	}
	bucket->states[way] = CLOSED;
	bucket->marks[way] = 0;
	return RELEASE;
}

/* A segment of the client to a connection that holds places. */
static __always_inline enum step continue_client(struct connections *bucket,
						 __u32 way,
						 const struct segment *segment)
{
	struct connection *connection = &bucket->ways[way];

	if (bucket->marks[way] & RENEWED && segment->seq == connection->proof) {
		connection->next = segment->seq;
		bucket->marks[way] = 0;
	}
	if (segment->flags & (RST | FIN) &&
	    !is_near(segment->seq, connection->next))
		return FOREIGN;
	connection->seen_ms = segment->now_ms;
	if (segment->flags & RST) {
		bucket->states[way] = CLOSED;
		bucket->marks[way] |= RESET;
		return RELEASE;
	}
	advance(connection, segment->end);
	if (segment->flags & FIN)
		return end_side(bucket, way, CLIENT_FIN);
	if (is_near(segment->end, connection->next))
		bucket->marks[way] &= ~RENEWED;
	if (!(bucket->marks[way] & ~ANSWERED & ~EARLY_DATA))
		bucket->states[way] = OPEN;
	return STAY;
}

/* A segment of the client without SYN. */
static __always_inline enum step hear_client(struct connections *bucket,
					     __u32 way,
					     const struct segment *segment)
{
	struct connection *connection = &bucket->ways[way];
	__u8 marks = bucket->marks[way];
	enum step step;

	switch (bucket->states[way]) {
	case OPENING:
		step = complete(connection, marks, segment);
		if (step != ABANDON)
			return step;
		bucket->states[way] = CLOSED;
		bucket->marks[way] = 0;
		return ABANDON;
	case CLOSED:
		/* Nobody said so but a RST or a clock: it goes on. */
		if (marks & (RESET | SILENT) && !(segment->flags & RST) &&
		    segment->flags & ACK &&
		    is_near(segment->seq, connection->next))
			return ADMIT;
		return STAY;
	case OPEN:
	case CLOSING:
		return continue_client(bucket, way, segment);
	}
	return STAY;
}

/*
 * A SYN of the client to a connection that is there. One that holds places may
 * have begun anew, which shows when it goes on; else the server knows.
 */
static __always_inline void hear_syn(struct connections *bucket, __u32 way,
				     const struct segment *segment)
{
	struct connection *connection = &bucket->ways[way];

	if (holds_place(bucket->states[way])) {
		connection->proof = segment->seq + 1;
		bucket->marks[way] |= RENEWED;
		bucket->states[way] = CLOSING;
	} else if (!(bucket->marks[way] & ANSWERED) &&
		   connection->next != segment->seq + 1) {
		connection->next = segment->seq + 1;
		connection->proof = segment->end;
		bucket->marks[way] |= RENEWED;
	}
}

/* A SYN with an acknowledgement of the server. */
static __always_inline enum step answer(struct connections *bucket, __u32 way,
					const struct segment *segment)
{
	struct connection *connection = &bucket->ways[way];

	if (bucket->states[way] == OPENING) {
		/* Of two SYN nobody knows which one the data was with. */
		bool early = segment->ack != connection->next &&
			     segment->ack == connection->proof &&
			     !(bucket->marks[way] & (RENEWED | ANSWERED));

		bucket->marks[way] = early ? ANSWERED | EARLY_DATA : ANSWERED;
		connection->next = segment->ack;
		connection->proof = segment->seq + 1;
	} else if (connection->next - segment->ack > AHEAD_BYTES) {
		/* The server knows nothing of the one before. */
		connection->next = segment->ack;
		bucket->marks[way] = ANSWERED;
		bucket->states[way] = OPEN;
	}
	return STAY;
}

/* A RST of the server. */
static __always_inline enum step refuse(struct connections *bucket, __u32 way,
					const struct segment *segment)
{
	if (bucket->states[way] == OPENING) {
		/* Of one that goes on a wrong acknowledgement is refused, too;
		 * only the answer to a SYN has one itself.
		 */
		if (bucket->marks[way] & ANSWERED || !(segment->flags & ACK) ||
		    segment->ack != bucket->ways[way].next)
			return STAY;
		bucket->states[way] = CLOSED;
		return ABANDON;
	}
	bucket->states[way] = CLOSED;
	bucket->marks[way] |= RESET;
	return RELEASE;
}

/* A segment of the server with SYN, FIN or RST. */
static __always_inline enum step hear_server_half(struct connections *bucket,
						  __u32 way,
						  const struct segment *segment)
{
	struct connection *connection = &bucket->ways[way];
	__u8 state = bucket->states[way];

	if (state != OPENING && !holds_place(state))
		return STAY;
	if (segment->flags & RST)
		return refuse(bucket, way, segment);
	if (segment->flags & SYN)
		return answer(bucket, way, segment);
	if (state == OPENING)
		return STAY;
	connection->seen_ms = segment->now_ms;
	hear_server(connection, segment->ack);
	return end_side(bucket, way, SERVER_FIN);
}

/* For how long a connection may be silent in its state. */
struct patience {
	__u32 idle_ms;
	__u32 half_closed_ms;
	__u32 close_ms;
};

/* What is half open, or was closed by both, is kept for this long at most. */
#define LEFTOVER_MS 60000

static __always_inline __u32 patience_of(__u8 state, __u8 marks,
					 const struct patience *patience)
{
	if (state == OPENING)
		return LEFTOVER_MS;
	if (state == CLOSED)
		return marks & (RESET | SILENT) ? patience->idle_ms
						: LEFTOVER_MS;
	if (!(marks & (CLIENT_FIN | SERVER_FIN | RESET)))
		return patience->idle_ms;
	return marks & ANSWERED ? patience->half_closed_ms : patience->close_ms;
}

/* What was heard, and of which connection. */
struct heard {
	__u32 source_account;
	__u32 service_account;
	/* A handshake; else 0. */
	__u32 began_ms;
};

/* Who holds the places of a connection, and how many each may hold. */
struct parties {
	struct holder source;
	struct holder service;
	__u32 source_limit;
	__u32 service_limit;
};

/*
 * What a processor works on. It lies in a map, so that functions find it by
 * themselves: global functions, which take numbers alone on old kernels, and
 * which the verifier looks at once and not along each way that leads there.
 */
struct work {
	struct segment segment;
	struct parties parties;
	struct heard heard;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct work);
} connlimit_work SEC(".maps");

static __always_inline struct work *find_work(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&connlimit_work, &zero);
}

static __always_inline struct connections *find_bucket(__u32 number)
{
	return bpf_map_lookup_elem(&connlimit_table, &number);
}

static __always_inline bool has_flow(const struct connections *bucket,
				     const struct segment *segment)
{
	return bucket &&
	       find_way(bucket, &segment->flow, segment->place.tag) < WAYS;
}

/* The bucket that the flow is in; NO_BUCKET: none. */
__noinline int bucket_with_flow(void)
{
	struct connections *bucket;
	struct work *work = find_work();
	__u32 number;

	if (!work)
		return NO_BUCKET;
	number = work->segment.place.bucket;
	bucket = find_bucket(number);
	if (has_flow(bucket, &work->segment))
		return number;
	if (!bucket || !bucket->spilled)
		return NO_BUCKET;
	number = other_bucket(work->segment.place);
	return has_flow(find_bucket(number), &work->segment) ? number
							     : NO_BUCKET;
}

/* Has the connection in a bucket hear what the client, or the server, says. */
__noinline int hear(__u32 number, bool of_server)
{
	struct connections *bucket = find_bucket(number);
	struct work *work = find_work();
	const struct segment *segment;
	int step = STAY;
	__u32 way;

	if (!bucket || !work)
		return STAY;
	segment = &work->segment;
	bpf_spin_lock(&bucket->lock);
	way = find_way(bucket, &segment->flow, segment->place.tag);
	if (way < WAYS) {
		work->heard.source_account = bucket->ways[way].source_account;
		work->heard.service_account = bucket->ways[way].service_account;
		work->heard.began_ms = 0;
		if (bucket->states[way] == OPENING)
			work->heard.began_ms = bucket->ways[way].seen_ms;
		step = of_server ? hear_server_half(bucket, way, segment)
				 : hear_client(bucket, way, segment);
	}
	bpf_spin_unlock(&bucket->lock);
	return step;
}

#endif
