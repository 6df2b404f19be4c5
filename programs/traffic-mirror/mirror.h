/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Makes copies, the same way for packets that come and that go. The packet
 * itself goes on as it is, whatever becomes of the copy.
 */
#ifndef __MIRROR_H__
#define __MIRROR_H__

#include "rule.h"
#include "target.h"

/* The loopback interface has this index in every network namespace. */
#define LOOPBACK 1
/* The copy is as if it was received there. */
#define BPF_F_INGRESS 1

/* What became of the packets that fit a rule. */
struct rule_count {
	__u64 matched;
	__u64 copied;
	__u64 bytes;
	__u64 sampled_out;
	__u64 own;
	__u64 failed;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, MAX_RULES);
	__type(key, __u32);
	__type(value, struct rule_count);
} mirror_counts SEC(".maps");

/* Whether that is where copies for a target go. */
static __always_inline bool is_aimed_at(const struct aim *aim,
					const struct target *target)
{
	if (target->encapsulation == ENCAPSULATION_NONE ||
	    !is_same(&target->collector, &aim->address))
		return false;
	if (target->encapsulation == ENCAPSULATION_GRE)
		return aim->protocol == IPPROTO_GRE;
	return aim->protocol == IPPROTO_UDP && aim->port == tunnel_port(target);
}

/*
 * A copy that lost its mark, or the answer that nobody takes copies: each copy
 * of it would make another one.
 */
__noinline int is_of_mirror(const struct flow *flow)
{
	if (!flow || (flow->aim.protocol != IPPROTO_UDP &&
		      flow->aim.protocol != IPPROTO_GRE))
		return false;
	for (__u32 i = 0; i < MAX_TARGETS; i++) {
		__u32 key = i;
		const struct target *target =
			bpf_map_lookup_elem(&mirror_targets, &key);

		if (target && is_aimed_at(&flow->aim, target))
			return true;
	}
	return false;
}

/*
 * Copies that stay as they are leave at once. Others go through the loopback
 * interface, where `mirror_send` has them for itself: whatever is done to a
 * copy there, the packet is not touched.
 */
static __always_inline bool copy(struct __sk_buff *ctx, __u32 number)
{
	const struct target *target =
		bpf_map_lookup_elem(&mirror_targets, &number);
	__u32 interface = LOOPBACK, flags = BPF_F_INGRESS;
	__u32 mark = ctx->mark;
	long result;

	if (!target)
		return false;
	if (target->encapsulation == ENCAPSULATION_NONE) {
		if (!target->interface)
			return false;
		if (!target->length) {
			interface = target->interface;
			flags = 0;
		}
	}
	ctx->mark = (copy_mark & ~MARK_TARGET) | (number & MARK_TARGET);
	result = bpf_clone_redirect(ctx, interface, flags);
	ctx->mark = mark;
	return result == 0;
}

static __always_inline int mirror(struct __sk_buff *ctx)
{
	struct flow flow = {};
	const struct rule *rule;
	struct rule_count *count;
	__u32 number;

	if (is_copy(ctx) || !read_flow(ctx, &flow))
		return TC_ACT_UNSPEC;
	number = rule_of(&flow);
	rule = bpf_map_lookup_elem(&mirror_rules, &number);
	count = bpf_map_lookup_elem(&mirror_counts, &number);
	if (!rule || !count)
		return TC_ACT_UNSPEC;
	count->matched++;
	if (rule->action != RULE_MIRROR)
		return TC_ACT_UNSPEC;
	if (is_of_mirror(&flow)) {
		count->own++;
	} else if (!is_chosen(rule, &flow)) {
		count->sampled_out++;
	} else if (copy(ctx, rule->target)) {
		count->copied++;
		count->bytes += ctx->len;
	} else {
		count->failed++;
	}
	return TC_ACT_UNSPEC;
}

#endif
