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
 * They are in one file, since they have one set of maps and parameters.
 */
#include "../include/packet.h"

#define MAX_CHECKPOINTS 4
/* Of packets that are on their way through chains on one processor. */
#define NOTES 8
/* Left in packets: their note has a number of this kind, or there is none. */
#define NOTED	0x80000000
#define UNNOTED 0x40000000
/* An entry for each flow of the time between two turns. */
#define MAX_FLOWS     65536
#define MESSAGE_FLOWS 64
#define MESSAGES      32

/* Read by the program in user space. */
const volatile struct in6_addr collector = {};
const volatile __u16 collector_port = 4739;
const volatile __u8 collector_transport = IPPROTO_UDP;
const volatile __u32 observation_domain = 1;
const volatile __u32 enterprise_number = 32473;
const volatile __u32 active_timeout = 60;
const volatile __u32 idle_timeout = 15;
const volatile __u32 template_refresh = 60;
const volatile __u32 template_refresh_messages = 1000;
const volatile __u16 path_mtu = 1500;

/* Of the programs that count. */
const volatile __u32 sampling_one_in = 1;
const volatile bool sampling_random = false;
const volatile __u8 checkpoints = 0;

/* Of checkpoints. */
const volatile __u8 position = 0;
const volatile char behind[64] = "";
/* What the member in front does with what it does not let pass. */
const volatile __u8 ended_as = 2;

struct flow_key {
	/* Those of IPv4 as ::ffff:0:0/96. */
	struct in6_addr source;
	struct in6_addr destination;
	/* 0 where it is not known. */
	__u32 ingress_interface;
	__u32 egress_interface;
	/* Where there are none, 0; of ICMP, type and code as destination. */
	__be16 source_port;
	__be16 destination_port;
	__u16 vlan;
	__u8 protocol;
	__u8 traffic_class;
	__u8 ip_version;
	/* 0 received, 1 sent. */
	__u8 direction;
	__u8 checkpoints;
	__u8 sampling_random;
	__u32 sampling_one_in;
};

struct flow_counts {
	__u64 first_ns;
	__u64 last_ns;
	__u64 packets;
	__u64 bytes;
	__u64 reached_packets[MAX_CHECKPOINTS];
	__u64 reached_bytes[MAX_CHECKPOINTS];
	__u32 tcp_flags;
	__u32 reserved;
};

/* A flow that waits to be told of. */
struct flow_pending {
	struct flow_counts counts;
	/* The turn that was added last. */
	__u64 turn;
};

/*
 * A packet that is on its way through a chain. What is read of it goes here and
 * not on the stack, so that the verifier need not follow all ways through the
 * headers any further.
 */
struct flow_note {
	struct flow_key key;
	__u32 number;
	__u32 tcp_flags;
	__u64 packets;
	__u64 bytes;
	__u64 turn;
	/* Where the transport header is in the frame, if there is one. */
	__u32 transport;
	/* The headers of IP. */
	__u32 header_bytes;
};

struct flow_metering {
	/* Frames that reached `flows_*`, and what became of them there. */
	__u64 observed;
	__u64 unsampled;
	__u64 other;
	__u64 malformed;
	/* Of flows that had no room. */
	__u64 ignored_packets;
	__u64 ignored_bytes;
	/* Entries that were made in flow tables. */
	__u64 flows;
	/* Frames at checkpoints of which no note was found. */
	__u64 unnoted;
	__u64 notes;
};

struct flow_told {
	struct flow_key key;
	struct flow_counts counts;
	__u32 end_reason;
	__u32 reserved;
};

struct flow_message {
	__u64 first_record;
	__u32 flows;
	__u32 records;
	struct flow_told flow[MESSAGE_FLOWS];
};

/* Where the program in user space is; see its `ledger.rs`. */
struct flow_progress {
	/* Messages from `oldest` to before `next` are not known to have come.
	 */
	__u64 oldest_message;
	__u64 next_message;
	/* Whether the last one is still in `flow_cache` as well. */
	__u32 moving;
	/* The next sequence number of the transport session. */
	__u32 sequence;
	__u64 session;
	__u32 source_port;
	__u32 reserved;
	__u64 next_record;
	__u64 exported_messages;
	__u64 exported_bytes;
	__u64 exported_records;
	__u64 not_sent_records;
	__u64 not_sent_packets;
	__u64 not_sent_bytes;
};

#define FLOW_TABLE(name)                                                       \
	struct {                                                               \
		__uint(type, BPF_MAP_TYPE_HASH);                               \
		__uint(max_entries, MAX_FLOWS);                                \
		__type(key, struct flow_key);                                  \
		__type(value, struct flow_counts);                             \
	} name SEC(".maps")

FLOW_TABLE(flows_even);
FLOW_TABLE(flows_odd);

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} flow_turn SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, NOTES);
	__type(key, __u32);
	__type(value, struct flow_note);
} flow_notes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct flow_metering);
} flow_metering SEC(".maps");

/* The rest belongs to the program in user space, which may be killed. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 2 * MAX_FLOWS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct flow_key);
	__type(value, struct flow_pending);
} flow_cache SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MESSAGES);
	__type(key, __u32);
	__type(value, struct flow_message);
} flow_messages SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct flow_progress);
} flow_progress SEC(".maps");

static __always_inline bool has_ports(__u8 protocol)
{
	return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP ||
	       protocol == IPPROTO_SCTP || protocol == IPPROTO_DCCP ||
	       protocol == IPPROTO_UDPLITE;
}

/*
 * Ports, or type and code of ICMP; flags of TCP, from FIN to CWR with the three
 * bits in front (RFC 9293, section 3.1). Returns how long the header is where
 * the kernel may have put segments together.
 */
static __always_inline __u32 read_transport(const struct __sk_buff *ctx,
					    struct flow_note *note)
{
	void *end = (void *)(long)ctx->data_end;
	void *at = (void *)(long)ctx->data + (note->transport & 0x3FFF);
	__be16 *word = at;
	struct tcphdr *tcp = at;
	__u64 rest = note->bytes - note->header_bytes;
	__u8 protocol = note->key.protocol;

	if (!note->transport || rest < 2 || (void *)(word + 1) > end)
		return 0;
	if (protocol ==
	    (note->key.ip_version == 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6)) {
		note->key.destination_port = word[0];
		return 0;
	}
	if (!has_ports(protocol) || rest < 4 || (void *)(word + 2) > end)
		return 0;
	note->key.source_port = word[0];
	note->key.destination_port = word[1];
	if (protocol != IPPROTO_TCP)
		return sizeof(struct udphdr);
	if (rest < sizeof(*tcp) || (void *)(tcp + 1) > end)
		return 0;
	note->tcp_flags = bpf_ntohs(word[6]) & 0x0FFF;
	return tcp->doff * 4;
}

static __always_inline void read_headers(const struct __sk_buff *ctx,
					 const struct packet *packet,
					 __u8 direction, struct flow_note *note)
{
	void *ip = packet->ipv4 ? (void *)packet->ipv4 : (void *)packet->ipv6;
	void *start = (void *)(long)ctx->data;
	struct flow_key *key = &note->key;

	__builtin_memset(key, 0, sizeof(*key));
	read_addresses(packet, &key->source, &key->destination);
	key->ingress_interface = ctx->ifindex;
	if (direction) {
		key->ingress_interface = ctx->ingress_ifindex;
		key->egress_interface = ctx->ifindex;
	}
	key->vlan = packet->vlan_tags ? packet->vlan_tci & VLAN_ID : 0;
	key->protocol = packet->protocol;
	key->direction = direction;
	key->checkpoints = checkpoints;
	key->sampling_one_in = sampling_one_in;
	key->sampling_random = sampling_random;
	if (packet->ipv4) {
		key->ip_version = 4;
		key->traffic_class = packet->ipv4->tos;
	} else if (packet->ipv6) {
		key->ip_version = 6;
		key->traffic_class = packet->ipv6->priority << 4 |
				     packet->ipv6->flow_lbl[0] >> 4;
	}
	note->tcp_flags = 0;
	note->packets = 1;
	note->header_bytes = distance(ip, packet->transport);
	note->bytes = note->header_bytes + packet->transport_bytes;
	note->transport = packet->fragment_offset
				  ? 0
				  : distance(start, packet->transport);
}

/*
 * Segments that the kernel handles as one are counted as they are on the wire,
 * each with headers of its own. Bytes are those of IP (octetDeltaCount).
 */
static __always_inline void count_segments(const struct __sk_buff *ctx,
					   __u32 transport_bytes,
					   struct flow_note *note)
{
	__u64 header_bytes = note->header_bytes + transport_bytes;
	__u32 segment_bytes = ctx->gso_size;
	__u64 packets = ctx->gso_segs;

	if (!segment_bytes || !transport_bytes || note->bytes <= header_bytes)
		return;
	/* Guests may leave it open. */
	if (!packets)
		packets = (note->bytes - header_bytes + segment_bytes - 1) /
			  segment_bytes;
	note->packets = packets;
	note->bytes += (packets - 1) * header_bytes;
}

static __always_inline struct flow_counts *find(__u64 turn,
						const struct flow_key *key)
{
	if (turn & 1)
		return bpf_map_lookup_elem(&flows_odd, key);
	return bpf_map_lookup_elem(&flows_even, key);
}

static __always_inline long add(__u64 turn, const struct flow_key *key,
				const struct flow_counts *counts)
{
	if (turn & 1)
		return bpf_map_update_elem(&flows_odd, key, counts,
					   BPF_NOEXIST);
	return bpf_map_update_elem(&flows_even, key, counts, BPF_NOEXIST);
}

/* False where there is no room for another flow. */
static __always_inline bool count(const struct flow_note *note,
				  struct flow_metering *metering)
{
	struct flow_counts *found = find(note->turn, &note->key);
	__u64 now_ns = bpf_ktime_get_coarse_ns();
	__u32 flags = note->tcp_flags;

	if (!found) {
		struct flow_counts counts = {
			.first_ns = now_ns,
			.last_ns = now_ns,
			.packets = note->packets,
			.bytes = note->bytes,
			.tcp_flags = flags,
		};

		if (!add(note->turn, &note->key, &counts)) {
			metering->flows++;
			return true;
		}
		/* Another processor may have been first. */
		found = find(note->turn, &note->key);
		if (!found)
			return false;
	}
	found->last_ns = now_ns;
	__sync_fetch_and_add(&found->packets, note->packets);
	__sync_fetch_and_add(&found->bytes, note->bytes);
	if (flags & ~*(volatile __u32 *)&found->tcp_flags)
		__sync_fetch_and_or(&found->tcp_flags, flags);
	return true;
}

static __always_inline bool is_chosen(struct flow_metering *metering)
{
	__u32 one_in = sampling_one_in;

	if (one_in <= 1)
		return true;
	if (sampling_random)
		return (__u64)bpf_get_prandom_u32() * one_in >> 32 == 0;
	return metering->observed % one_in == 0;
}

/* Lays down what is to be counted of a packet, and what checkpoints need. */
static __always_inline enum packet_kind
take_note(struct __sk_buff *ctx, __u8 direction, struct flow_note *note)
{
	struct packet packet = {};
	enum packet_kind kind = read_skb(ctx, &packet);

	if (kind != PACKET_IP)
		return kind;
	read_headers(ctx, &packet, direction, note);
	/* What was put down is read anew: nothing of the way is known then. */
	barrier();
	count_segments(ctx, read_transport(ctx, note), note);
	return PACKET_IP;
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
