// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The server's half of connlimit: what servers answer, and how they end
 * connections. It lets everything pass, and looks for a connection only where
 * SYN with ACK, FIN or RST is set.
 */
#include "accounts.h"

/* The flow of a packet of the server is named as the client sees it. */
static __always_inline void turn(struct flow *flow)
{
	struct flow turned = {
		.source = {flow->destination[0], flow->destination[1]},
		.destination = {flow->source[0], flow->source[1]},
		.source_port = flow->destination_port,
		.destination_port = flow->source_port,
	};

	*flow = turned;
}

/* The TCP header of a packet, as far as it lies in one piece; NULL: none. */
static __always_inline struct tcphdr *find_tcp(struct __sk_buff *ctx,
					       struct packet *packet)
{
	struct tcphdr *tcp;

	packet->end = (void *)(long)ctx->data_end;
	packet->beyond_bytes = ctx->len - linear_bytes(ctx);
	if (read_frame((void *)(long)ctx->data, ctx->vlan_present ? 1 : 0,
		       packet) != PACKET_IP)
		return NULL;
	if (packet->protocol != IPPROTO_TCP || packet->fragment_offset)
		return NULL;
	tcp = packet->transport;
	return (void *)(tcp + 1) > packet->end ? NULL : tcp;
}

/*
 * The same, where headers that are in pieces are gathered. That may cost a
 * copy, so it is done only where they are: what this machine sends itself has
 * its headers in one.
 */
static __always_inline struct tcphdr *gather_tcp(struct __sk_buff *ctx,
						 struct packet *packet)
{
	struct tcphdr *tcp = find_tcp(ctx, packet);
	struct packet none = {};

	if (tcp || linear_bytes(ctx) >= HEADER_BYTES ||
	    linear_bytes(ctx) >= ctx->len)
		return tcp;
	if (packet->protocol && packet->protocol != IPPROTO_TCP)
		return NULL;
	bpf_skb_pull_data(ctx,
			  ctx->len < HEADER_BYTES ? ctx->len : HEADER_BYTES);
	*packet = none;
	return find_tcp(ctx, packet);
}

static __always_inline bool is_of_interest(__u8 flags)
{
	return flags & (FIN | RST) || (flags & (SYN | ACK)) == (SYN | ACK);
}

/* Has the connection hear its server. */
static __always_inline void hear_answer(struct work *work,
					struct common *common)
{
	__u32 number = bucket_with_flow();

	if (number >= NO_BUCKET)
		return;
	/* The other half may rely on answers from now on. */
	if (work->segment.flags & SYN)
		common->answered_ms = now_in_ms();
	/* A handshake that is abandoned is forgotten with its window. */
	if (hear(number, true) == RELEASE)
		end_connection(work);
}

SEC("tc")
int connlimit_egress(struct __sk_buff *ctx)
{
	struct packet packet = {};
	struct common *common;
	struct work *work;
	struct tcphdr *tcp;

	tcp = gather_tcp(ctx, &packet);
	if (!tcp || !is_of_interest(((const __u8 *)tcp)[13]))
		return TC_ACT_UNSPEC;
	common = find_common();
	work = find_work();
	if (!common || !work || !read_tcp(&packet, tcp, &work->segment))
		return TC_ACT_UNSPEC;
	if (packet.ipv4)
		read_flow(&packet, tcp, &work->segment.flow, true);
	else
		read_flow(&packet, tcp, &work->segment.flow, false);
	turn(&work->segment.flow);
	work->segment.place =
		place_of(&work->segment.flow, packet.ipv4, common);
	work->segment.now_ms = now_in_ms();
	hear_answer(work, common);
	return TC_ACT_UNSPEC;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
