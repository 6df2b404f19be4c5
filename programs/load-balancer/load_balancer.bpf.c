// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Balances flows of TCP and UDP over backends, which answer clients themselves
 * (direct server return).
 *
 * A packet for a service is packed into another one for a backend of the
 * service's pool. Which one it is says a table that the user part computes
 * (Maglev, NSDI 2016), of the backends that its checks find well. Nothing here
 * waits for the user part: without it, the last tables stay in use.
 */
#include "choose.h"
#include "strangers.h"
#include "wrap.h"

static __always_inline int leave(enum outcome outcome, int verdict)
{
	__u32 key = outcome;
	__u64 *count = bpf_map_lookup_elem(&outcomes, &key);

	if (count)
		++*count;
	return verdict;
}

static __always_inline void count_traffic(const struct flow *flow,
					  enum kind kind, __u32 backend,
					  __u64 bytes)
{
	struct traffic_key key = {.service = flow->service, .backend = backend};
	struct traffic none = {}, *counts;

	counts = bpf_map_lookup_elem(&traffic, &key);
	if (!counts) {
		bpf_map_update_elem(&traffic, &key, &none, BPF_NOEXIST);
		counts = bpf_map_lookup_elem(&traffic, &key);
	}
	if (!counts)
		return;
	counts->packets++;
	counts->bytes += bytes;
	if (kind == KIND_BEGINS)
		counts->connections++;
}

static __always_inline int no_way(long answer)
{
	switch (answer) {
	case BPF_FIB_LKUP_RET_FRAG_NEEDED:
		return leave(OUTCOME_TOO_BIG, XDP_DROP);
	case BPF_FIB_LKUP_RET_NO_NEIGH:
		return leave(OUTCOME_NO_NEIGHBOUR, XDP_DROP);
	case BPF_FIB_LKUP_RET_FWD_DISABLED:
		return leave(OUTCOME_FORWARDING_OFF, XDP_DROP);
	default:
		return leave(OUTCOME_NO_ROUTE, XDP_DROP);
	}
}

static __always_inline bool has_next_hop(void)
{
	return next_hop_mac[0] | next_hop_mac[1] | next_hop_mac[2] |
	       next_hop_mac[3] | next_hop_mac[4] | next_hop_mac[5];
}

/* The next hop that people said; it is where the packet came from. */
static __always_inline void use_next_hop(const struct wrap *wrap,
					 struct hop *hop)
{
	for (int i = 0; i < ETH_ALEN; i++)
		hop->to[i] = next_hop_mac[i];
	__builtin_memcpy(hop->from, wrap->to, ETH_ALEN);
	hop->tag_count = wrap->tag_count;
	hop->interface = 0;
}

/* What the kernel would do with the packet outside. */
static __always_inline long use_route(struct xdp_md *ctx,
				      const struct wrap *wrap,
				      const struct target *target,
				      struct hop *hop)
{
	struct bpf_fib_lookup route = {};
	long answer = find_route(ctx, wrap, target, &route);
	bool returns = route.ifindex == ctx->ingress_ifindex;

	__builtin_memcpy(hop->to, route.dmac, ETH_ALEN);
	__builtin_memcpy(hop->from, route.smac, ETH_ALEN);
	hop->tag_count = returns ? wrap->tag_count : 0;
	hop->interface = returns ? 0 : route.ifindex;
	return answer;
}

static __always_inline int send(struct xdp_md *ctx, const struct packet *packet,
				const struct wrap *wrap,
				const struct target *target)
{
	struct hop hop;
	long answer;

	if (wrap->inner_bytes > MAX_IP_BYTES - wrap->outer_bytes)
		return leave(OUTCOME_TOO_BIG, XDP_DROP);
	if (has_next_hop()) {
		use_next_hop(wrap, &hop);
	} else {
		answer = use_route(ctx, wrap, target, &hop);
		if (answer != BPF_FIB_LKUP_RET_SUCCESS)
			return no_way(answer);
	}
	if (!take_hop(packet))
		return leave(OUTCOME_HOP_LIMIT, XDP_DROP);
	if (!write_outer(ctx, wrap, target, &hop))
		return leave(OUTCOME_NO_HEADROOM, XDP_DROP);
	return hop.interface ? bpf_redirect(hop.interface, 0) : XDP_TX;
}

static __always_inline int forward(struct xdp_md *ctx,
				   const struct packet *packet,
				   const struct flow *flow,
				   const struct sign *sign, __u32 pool)
{
	__u32 hash = hash_flow(flow);
	__u32 backend = choose(flow, sign, pool, hash);
	struct target *target = find_target(backend);
	struct wrap wrap = {};
	int verdict;

	if (!backend || !target || target->state == TARGET_NONE)
		return leave(OUTCOME_NO_BACKEND, XDP_DROP);
	read_wrap(ctx, packet, target, hash, &wrap);
	verdict = send(ctx, packet, &wrap, target);
	if (verdict == XDP_DROP)
		return verdict;
	count_traffic(flow, sign->kind, backend, wrap.inner_bytes);
	return leave(sign->kind == KIND_ERROR ? OUTCOME_ERROR_FORWARDED
					      : OUTCOME_FORWARDED,
		     verdict);
}

SEC("xdp")
int load_balancer(struct xdp_md *ctx)
{
	struct settings *settings;
	struct packet packet = {};
	struct flow flow;
	struct sign sign;

	/* Padding, too: it is part of the key. */
	__builtin_memset(&flow, 0, sizeof(flow));
	if (read_packet(ctx, &packet) != PACKET_IP)
		return XDP_PASS;
	sign = read_flow(&packet, &flow);
	if (sign.kind == KIND_OTHER)
		return XDP_PASS;
	settings = find_service(&flow.service);
	if (!settings)
		return XDP_PASS;
	if (sign.kind == KIND_FRAGMENT)
		return leave(OUTCOME_FRAGMENT, XDP_DROP);
	return forward(ctx, &packet, &flow, &sign, settings->pool);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
