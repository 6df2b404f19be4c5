// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Sends copies: cuts them, puts them into a tunnel, and has the kernel find the
 * way and the neighbour.
 *
 * Runs where the loopback interface receives, and takes copies only, which the
 * other programs of this package hand over there. A copy is a packet of its
 * own, so it may be changed at will; it ends here, sent or dropped.
 */
#include "target.h"

#define MAX_TAGS 3
/* Headers of Ethernet, IP and transport are worth more than a low bound. */
#define LEAST_LENGTH 64
/* RFC 1700, and what Linux begins with. */
#define HOPS 64
/* RFC 6335's dynamic ports: where a copy comes from tells its flow. */
#define FIRST_SOURCE_PORT 0xc000
/* "Transparent Ethernet bridging", as Geneve and GRE say it. */
#define ETH_P_TEB 0x6558

enum {
	BPF_ADJ_ROOM_MAC = 1,
};

#define BPF_F_ADJ_ROOM_ENCAP_L3_IPV4 (1ULL << 1)
#define BPF_F_ADJ_ROOM_ENCAP_L3_IPV6 (1ULL << 2)
#define BPF_F_ADJ_ROOM_ENCAP_L4_GRE  (1ULL << 3)
#define BPF_F_ADJ_ROOM_ENCAP_L4_UDP  (1ULL << 4)
#define BPF_F_ADJ_ROOM_ENCAP_L2_ETH  (1ULL << 6)
#define BPF_F_ADJ_ROOM_ENCAP_L2(len) (((__u64)(len) & 0xff) << 56)
#define BPF_F_RECOMPUTE_CSUM	     1
/* Tell the source address as well; Linux 6.7. */
#define BPF_FIB_LOOKUP_SRC (1 << 4)

/* What became of the copies for a target. */
struct target_count {
	__u64 sent;
	__u64 bytes;
	__u64 cut;
	__u64 unroutable;
	__u64 failed;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, MAX_TARGETS);
	__type(key, __u32);
	__type(value, struct target_count);
} mirror_sent SEC(".maps");

/* How a copy leaves. */
struct route {
	struct in6_addr source;
	__u32 interface;
	/* None where the kernel finds it by itself. */
	struct bpf_redir_neigh next;
	bool has_next;
};

/* What is put in front of a copy, in bytes. */
struct room {
	__u32 ip;
	__u32 udp;
	__u32 tunnel;
	/* The copy's own Ethernet header, with its tags. */
	__u32 ethernet;
	__u32 all;
};

struct tag {
	__be16 protocol;
	__be16 tci;
};

/* The tags of a frame, the outermost first. */
struct tags {
	struct tag tag[MAX_TAGS];
	__u32 count;
};

struct vxlanhdr {
	__be32 flags;
	__be32 vni;
};

struct genevehdr {
	__be16 version;
	__be16 protocol;
	__be32 vni;
};

/* RFC 2784, and with the key of RFC 2890. */
struct grehdr {
	__be16 flags;
	__be16 protocol;
	__be32 key;
};

/* draft-ietf-intarea-gue: variant 0, no extension fields. */
struct guehdr {
	__u8 variant;
	__u8 protocol;
	__be16 flags;
};

#define GRE_KEY 0x2000
/* The VNI is there (RFC 7348, section 5). */
#define VXLAN_VNI 0x08000000

/* The outermost tag: the kernel keeps it beside the frame, as a rule. */
static __always_inline bool read_tag(struct __sk_buff *ctx, struct tag *tag)
{
	__be16 protocol = ctx->protocol;

	if (ctx->vlan_present) {
		tag->protocol = ctx->vlan_proto;
		tag->tci = bpf_htons(ctx->vlan_tci);
		return true;
	}
	return is_vlan(protocol) &&
	       !bpf_skb_load_bytes(ctx, 2 * ETH_ALEN, tag, sizeof(*tag));
}

/* Takes all tags out of the frame, to be put where they belong in the copy. */
static __always_inline bool take_tags(struct __sk_buff *ctx, struct tags *tags)
{
	for (int i = 0; i < MAX_TAGS; i++) {
		if (!read_tag(ctx, &tags->tag[i]))
			return true;
		tags->count = i + 1;
		if (bpf_skb_vlan_pop(ctx))
			return false;
	}
	return true;
}

static __always_inline bool cut_to(struct __sk_buff *ctx, __u32 bytes,
				   struct target_count *count)
{
	if (ctx->len <= bytes)
		return true;
	count->cut++;
	return !bpf_skb_change_tail(ctx, bytes, 0);
}

static __always_inline __u32 gre_bytes(const struct target *target)
{
	return target->vni ? sizeof(struct grehdr) : 4;
}

static __always_inline struct room room_for(const struct target *target,
					    const struct tags *tags)
{
	struct room room = {
		.ip = is_ipv4(&target->collector) ? sizeof(struct iphdr)
						  : sizeof(struct ipv6hdr),
		.udp = sizeof(struct udphdr),
		.tunnel = sizeof(struct vxlanhdr),
		.ethernet = sizeof(struct ethhdr) +
			    tags->count * sizeof(struct vlan_hdr),
	};

	if (target->encapsulation == ENCAPSULATION_GRE) {
		room.udp = 0;
		room.tunnel = gre_bytes(target);
	} else if (target->encapsulation == ENCAPSULATION_GUE) {
		room.tunnel = sizeof(struct guehdr) + gre_bytes(target);
	}
	room.all = room.ip + room.udp + room.tunnel + room.ethernet;
	return room;
}

static __always_inline void copy_address(__u32 to[4],
					 const struct in6_addr *from)
{
	for (int i = 0; i < 4; i++)
		to[i] = from->in6_u.u6_addr32[i];
}

/* Asks as for a packet from this machine: from the loopback interface. */
static __always_inline bool
look_up(struct __sk_buff *ctx, const struct target *target, struct route *route)
{
	struct bpf_fib_lookup asked = {.ifindex = ctx->ifindex};
	bool has_source = target->source.in6_u.u6_addr32[3];
	bool is_v4 = is_ipv4(&target->collector);
	long answer;

	if (is_v4) {
		asked.family = AF_INET;
		asked.ipv4_dst = target->collector.in6_u.u6_addr32[3];
		asked.ipv4_src = target->source.in6_u.u6_addr32[3];
	} else {
		asked.family = AF_INET6;
		copy_address(asked.ipv6_dst, &target->collector);
		copy_address(asked.ipv6_src, &target->source);
	}
	answer = bpf_fib_lookup(ctx, &asked, sizeof(asked),
				has_source ? 0 : BPF_FIB_LOOKUP_SRC);
	/* The kernel asks for the neighbour when the copy is sent. */
	if (answer != BPF_FIB_LKUP_RET_SUCCESS &&
	    answer != BPF_FIB_LKUP_RET_NO_NEIGH)
		return false;
	route->interface = asked.ifindex;
	route->has_next = true;
	if (is_v4) {
		route->next.nh_family = AF_INET;
		route->next.ipv4_nh = asked.ipv4_dst;
		map_ipv4(asked.ipv4_src, &route->source);
		return true;
	}
	route->next.nh_family = AF_INET6;
	for (int i = 0; i < 4; i++) {
		route->next.ipv6_nh[i] = asked.ipv6_dst[i];
		route->source.in6_u.u6_addr32[i] = asked.ipv6_src[i];
	}
	return true;
}

static __always_inline bool find_route(struct __sk_buff *ctx,
				       const struct target *target,
				       struct route *route)
{
	if (!target->interface)
		return look_up(ctx, target, route);
	route->interface = target->interface;
	route->source = target->source;
	return true;
}

static __always_inline bool put(struct __sk_buff *ctx, __u32 *at,
				const void *from, __u32 bytes)
{
	__u32 offset = *at;

	*at += bytes;
	return !bpf_skb_store_bytes(ctx, offset, from, bytes,
				    BPF_F_RECOMPUTE_CSUM);
}

static __always_inline __sum16 header_checksum(struct iphdr *ip)
{
	__u64 sum = bpf_csum_diff(NULL, 0, (__be32 *)ip, sizeof(*ip), 0);

	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

static __always_inline bool put_ip(struct __sk_buff *ctx, __u32 *at,
				   const struct target *target,
				   const struct route *route, __u32 bytes)
{
	__u8 protocol = target->encapsulation == ENCAPSULATION_GRE
				? IPPROTO_GRE
				: IPPROTO_UDP;

	if (is_ipv4(&target->collector)) {
		struct iphdr ip = {
			.version = 4,
			.ihl = 5,
			.tot_len = bpf_htons(bytes),
			/* It may become fragments, which this tells apart. */
			.id = bpf_get_prandom_u32(),
			.ttl = HOPS,
			.protocol = protocol,
			.saddr = route->source.in6_u.u6_addr32[3],
			.daddr = target->collector.in6_u.u6_addr32[3],
		};

		ip.check = header_checksum(&ip);
		return put(ctx, at, &ip, sizeof(ip));
	}
	struct ipv6hdr ip = {
		.version = 6,
		.payload_len = bpf_htons(bytes - sizeof(struct ipv6hdr)),
		.nexthdr = protocol,
		.hop_limit = HOPS,
		.saddr = route->source,
		.daddr = target->collector,
	};

	return put(ctx, at, &ip, sizeof(ip));
}

static __always_inline bool put_udp(struct __sk_buff *ctx, __u32 *at,
				    const struct target *target, __u32 bytes)
{
	/* Without a checksum, as tunnels may be (RFC 6935, RFC 7348). */
	struct udphdr udp = {
		.source = bpf_htons(FIRST_SOURCE_PORT |
				    (bpf_get_hash_recalc(ctx) & 0x3fff)),
		.dest = tunnel_port(target),
		.len = bpf_htons(bytes),
	};

	return put(ctx, at, &udp, sizeof(udp));
}

static __always_inline bool put_gre(struct __sk_buff *ctx, __u32 *at,
				    const struct target *target)
{
	struct grehdr gre = {
		.flags = target->vni ? bpf_htons(GRE_KEY) : 0,
		.protocol = bpf_htons(ETH_P_TEB),
		.key = bpf_htonl(target->vni),
	};

	return target->vni ? put(ctx, at, &gre, sizeof(gre))
			   : put(ctx, at, &gre, 4);
}

static __always_inline bool put_tunnel(struct __sk_buff *ctx, __u32 *at,
				       const struct target *target)
{
	struct vxlanhdr vxlan = {
		.flags = bpf_htonl(VXLAN_VNI),
		.vni = bpf_htonl(target->vni << 8),
	};
	struct genevehdr geneve = {
		.protocol = bpf_htons(ETH_P_TEB),
		.vni = bpf_htonl(target->vni << 8),
	};
	struct guehdr gue = {.protocol = IPPROTO_GRE};

	switch (target->encapsulation) {
	case ENCAPSULATION_VXLAN:
		return put(ctx, at, &vxlan, sizeof(vxlan));
	case ENCAPSULATION_GENEVE:
		return put(ctx, at, &geneve, sizeof(geneve));
	case ENCAPSULATION_GUE:
		/* Ethernet has no number of its own in it: GRE carries it. */
		if (!put(ctx, at, &gue, sizeof(gue)))
			return false;
		return put_gre(ctx, at, target);
	default:
		return put_gre(ctx, at, target);
	}
}

/* The copy's own Ethernet header; only its type is where it was. */
static __always_inline bool put_ethernet(struct __sk_buff *ctx, __u32 *at,
					 const struct ethhdr *ethernet,
					 const struct tags *tags)
{
	if (!put(ctx, at, ethernet, 2 * ETH_ALEN))
		return false;
	for (int i = 0; i < MAX_TAGS && i < tags->count; i++)
		if (!put(ctx, at, &tags->tag[i], sizeof(tags->tag[i])))
			return false;
	return put(ctx, at, &ethernet->h_proto, sizeof(ethernet->h_proto));
}

static __always_inline bool make_room(struct __sk_buff *ctx,
				      const struct target *target,
				      const struct room *room)
{
	__u64 flags = BPF_F_ADJ_ROOM_ENCAP_L2_ETH |
		      BPF_F_ADJ_ROOM_ENCAP_L2(room->ethernet);

	flags |= is_ipv4(&target->collector) ? BPF_F_ADJ_ROOM_ENCAP_L3_IPV4
					     : BPF_F_ADJ_ROOM_ENCAP_L3_IPV6;
	flags |= room->udp ? BPF_F_ADJ_ROOM_ENCAP_L4_UDP
			   : BPF_F_ADJ_ROOM_ENCAP_L4_GRE;
	return !bpf_skb_adjust_room(ctx, room->all, BPF_ADJ_ROOM_MAC, flags);
}

static __always_inline bool wrap(struct __sk_buff *ctx,
				 const struct target *target,
				 const struct route *route,
				 const struct room *room,
				 const struct tags *tags)
{
	struct ethhdr own, outer = {};
	__u32 bytes, at = sizeof(outer);

	if (bpf_skb_load_bytes(ctx, 0, &own, sizeof(own)))
		return false;
	if (!make_room(ctx, target, room))
		return false;
	bytes = ctx->len - sizeof(outer);
	outer.h_proto = is_ipv4(&target->collector) ? bpf_htons(ETH_P_IP)
						    : bpf_htons(ETH_P_IPV6);
	return !bpf_skb_store_bytes(ctx, 0, &outer, sizeof(outer), 0) &&
	       put_ip(ctx, &at, target, route, bytes) &&
	       (!room->udp || put_udp(ctx, &at, target, bytes - room->ip)) &&
	       put_tunnel(ctx, &at, target) &&
	       put_ethernet(ctx, &at, &own, tags);
}

/*
 * Cuts a copy that would be too long for its way; the kernel cuts segments, and
 * finds that they fit. False where there is no such interface.
 */
static __always_inline bool fit(struct __sk_buff *ctx, __u32 interface,
				const struct room *room,
				struct target_count *count)
{
	__u32 most = 0;
	long answer;

	answer = bpf_check_mtu(ctx, interface, &most, room->all, 0);
	if (answer <= 0)
		return answer == 0;
	/* `most` is what IP may have; the frame has its header in it already.
	 */
	if (most < room->all + LEAST_LENGTH)
		return false;
	return cut_to(ctx, most + sizeof(struct ethhdr) - room->all, count);
}

static __always_inline bool cap(struct __sk_buff *ctx,
				const struct target *target,
				const struct tags *tags,
				struct target_count *count)
{
	__u32 length = target->length;

	if (!length)
		return true;
	if (length < LEAST_LENGTH)
		length = LEAST_LENGTH;
	return cut_to(ctx, length - tags->count * sizeof(struct vlan_hdr),
		      count);
}

static __always_inline int send_in_tunnel(struct __sk_buff *ctx,
					  const struct target *target,
					  struct target_count *count)
{
	struct route route = {};
	struct tags tags = {};
	struct room room;

	if (!take_tags(ctx, &tags) || !cap(ctx, target, &tags, count))
		goto failed;
	if (!find_route(ctx, target, &route)) {
		count->unroutable++;
		return TC_ACT_SHOT;
	}
	room = room_for(target, &tags);
	if (!fit(ctx, route.interface, &room, count) ||
	    !wrap(ctx, target, &route, &room, &tags))
		goto failed;
	count->sent++;
	count->bytes += ctx->len;
	if (!route.has_next)
		return bpf_redirect_neigh(route.interface, NULL, 0, 0);
	return bpf_redirect_neigh(route.interface, &route.next,
				  sizeof(route.next), 0);
failed:
	count->failed++;
	return TC_ACT_SHOT;
}

static __always_inline bool is_there(struct __sk_buff *ctx, __u32 interface)
{
	__u32 most = 0;

	return interface && bpf_check_mtu(ctx, interface, &most, 0, 0) >= 0;
}

/* As it is, but for its length. */
static __always_inline int send_plain(struct __sk_buff *ctx,
				      const struct target *target,
				      struct target_count *count)
{
	struct tags tags = {.count = ctx->vlan_present ? 1 : 0};

	if (!is_there(ctx, target->interface) ||
	    !cap(ctx, target, &tags, count)) {
		count->failed++;
		return TC_ACT_SHOT;
	}
	count->sent++;
	count->bytes += ctx->len;
	return bpf_redirect(target->interface, 0);
}

SEC("tc")
int mirror_send(struct __sk_buff *ctx)
{
	__u32 number = ctx->mark & MARK_TARGET;
	const struct target *target;
	struct target_count *count;

	if (!is_copy(ctx))
		return TC_ACT_UNSPEC;
	target = bpf_map_lookup_elem(&mirror_targets, &number);
	count = bpf_map_lookup_elem(&mirror_sent, &number);
	if (!target || !count)
		return TC_ACT_SHOT;
	if (target->encapsulation == ENCAPSULATION_NONE)
		return send_plain(ctx, target, count);
	return send_in_tunnel(ctx, target, count);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
