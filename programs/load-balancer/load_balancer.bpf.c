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
#include "too_big.h"

static __always_inline int leave(enum outcome outcome, int verdict)
{
	__u32 key = outcome;
	__u64 *count = bpf_map_lookup_elem(&outcomes, &key);

	if (count)
		++*count;
	return verdict;
}

static __always_inline void count_traffic(const struct seen *seen,
					  __u32 backend, __u64 bytes)
{
	struct traffic_key key = {.service = seen->flow.service,
				  .backend = backend};
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
	if (seen->kind == KIND_BEGINS)
		counts->connections++;
}

static __always_inline int no_way(long answer)
{
	switch (answer) {
	case BPF_FIB_LKUP_RET_NO_NEIGH:
		return leave(OUTCOME_NO_NEIGHBOUR, XDP_DROP);
	case BPF_FIB_LKUP_RET_FWD_DISABLED:
		return leave(OUTCOME_FORWARDING_OFF, XDP_DROP);
	default:
		return leave(OUTCOME_NO_ROUTE, XDP_DROP);
	}
}

/* `mtu` is that of the way, and the tunnel takes a part of it. */
static __always_inline int too_big(struct xdp_md *ctx, const struct seen *seen,
				   const struct wrap *wrap, __u32 mtu)
{
	leave(OUTCOME_TOO_BIG, XDP_DROP);
	mtu -= wrap->outer_bytes;
	if (!wants_to_know(seen, mtu) || !answer_too_big(ctx, seen, wrap, mtu))
		return XDP_DROP;
	return XDP_TX;
}

static __always_inline bool has_next_hop(void)
{
	return next_hop_mac[0] | next_hop_mac[1] | next_hop_mac[2] |
	       next_hop_mac[3] | next_hop_mac[4] | next_hop_mac[5];
}

/* The next hop that people said; it is where the packet came from. */
static __always_inline long
use_next_hop(struct xdp_md *ctx, const struct wrap *wrap, struct hop *hop)
{
	for (int i = 0; i < ETH_ALEN; i++)
		hop->to[i] = next_hop_mac[i];
	__builtin_memcpy(hop->from, wrap->to, ETH_ALEN);
	hop->tag_count = wrap->tag_count;
	/* Asked: how long the packet is. */
	hop->mtu = wrap->inner_bytes;
	if (bpf_check_mtu(ctx, 0, &hop->mtu, wrap->outer_bytes, 0))
		return BPF_FIB_LKUP_RET_FRAG_NEEDED;
	return BPF_FIB_LKUP_RET_SUCCESS;
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
	hop->mtu = route.mtu_result;
	return answer;
}

/* One of BPF_FIB_LKUP_RET_*. */
static __always_inline long find_hop(struct xdp_md *ctx,
				     const struct wrap *wrap,
				     const struct target *target,
				     struct hop *hop)
{
	hop->mtu = MAX_IP_BYTES;
	if (wrap->inner_bytes > MAX_IP_BYTES - wrap->outer_bytes)
		return BPF_FIB_LKUP_RET_FRAG_NEEDED;
	return has_next_hop() ? use_next_hop(ctx, wrap, hop)
			      : use_route(ctx, wrap, target, hop);
}

static __always_inline int forward(struct xdp_md *ctx, const struct seen *seen,
				   __u32 pool)
{
	__u32 hash = hash_flow(&seen->flow);
	__u32 backend = choose(seen, pool, hash);
	struct target *target = find_target(backend);
	struct wrap wrap = {};
	struct hop hop = {};
	long answer;

	if (!backend || !target || target->state == TARGET_NONE)
		return leave(OUTCOME_NO_BACKEND, XDP_DROP);
	read_wrap(ctx, &seen->packet, target, hash, &wrap);
	answer = find_hop(ctx, &wrap, target, &hop);
	if (answer == BPF_FIB_LKUP_RET_FRAG_NEEDED)
		return too_big(ctx, seen, &wrap, hop.mtu);
	if (answer != BPF_FIB_LKUP_RET_SUCCESS)
		return no_way(answer);
	if (!take_hop(&seen->packet))
		return leave(OUTCOME_HOP_LIMIT, XDP_DROP);
	if (!write_outer(ctx, &wrap, target, &hop))
		return leave(OUTCOME_NO_HEADROOM, XDP_DROP);
	count_traffic(seen, backend, wrap.inner_bytes);
	leave(seen->kind == KIND_ERROR ? OUTCOME_ERROR_FORWARDED
				       : OUTCOME_FORWARDED,
	      XDP_TX);
	return hop.interface ? bpf_redirect(hop.interface, 0) : XDP_TX;
}

SEC("xdp")
int load_balancer(struct xdp_md *ctx)
{
	struct settings *settings;
	struct seen seen;

	/* Padding, too: that of the flow is part of a key. */
	__builtin_memset(&seen, 0, sizeof(seen));
	if (read_packet(ctx, &seen.packet) != PACKET_IP ||
	    !forget_way(ctx, &seen.packet))
		return XDP_PASS;
	read_flow(&seen);
	if (seen.kind == KIND_OTHER)
		return XDP_PASS;
	settings = find_service(&seen.flow.service);
	if (!settings)
		return XDP_PASS;
	if (seen.kind == KIND_FRAGMENT)
		return leave(OUTCOME_FRAGMENT, XDP_DROP);
	return forward(ctx, &seen, settings->pool);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
