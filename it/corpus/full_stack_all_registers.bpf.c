// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// clang: -mllvm -bpf-stack-size=520
/*
 * All 512 bytes of stack are used, r6 to r9 hold values across helper calls,
 * and exits stand in the middle.
 */
#include "packet.h"

#define SLOTS (496 / sizeof(__u64))

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u64);
	__type(value, __u64);
} full_stack_seen SEC(".maps");

/* Leaves the program right here, as no compiler would. */
#define LEAVE(verdict)                                                         \
	do {                                                                   \
		asm volatile("r0 = %0; exit" ::"i"(verdict) : "r0");           \
		__builtin_unreachable();                                       \
	} while (0)

/* In registers that helpers keep, and used on both sides of each call. */
#define HOLD(a, b, c, d) asm volatile("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d))

SEC("xdp")
int full_stack_all_registers(struct xdp_md *ctx)
{
	volatile __u64 slots[SLOTS];
	__u8 *at = (void *)(long)ctx->data;
	__u64 bytes = ctx->data_end - ctx->data;
	__u64 low, high, kind;
	__u64 *seen;

	if ((void *)(at + 14) > (void *)(long)ctx->data_end)
		LEAVE(XDP_DROP);
	low = *(__u32 *)at;
	high = *(__u32 *)(at + 6);
	kind = *(__u16 *)(at + 12);
#pragma clang loop unroll(full)
	for (int i = 0; i < SLOTS; i++) {
		high = high * 31 + low;
		slots[i] = high;
	}
	HOLD(low, high, kind, bytes);
	seen = bpf_map_lookup_elem(&full_stack_seen, (void *)&slots[1]);
	HOLD(low, high, kind, bytes);
	if (seen && *seen == bytes)
		LEAVE(XDP_TX);
	slots[0] = bytes;
	bpf_map_update_elem(&full_stack_seen, (void *)&slots[1],
			    (void *)&slots[0], BPF_ANY);
	HOLD(low, high, kind, bytes);
	if ((low + high) % 5 == 0)
		LEAVE(XDP_ABORTED);
	bpf_map_delete_elem(&full_stack_seen, (void *)&slots[2]);
	HOLD(low, high, kind, bytes);
	if (kind == bpf_htons(ETH_P_IPV6))
		LEAVE(XDP_PASS);
	bpf_csum_diff(NULL, 0, (void *)slots, sizeof(slots), 0);
	HOLD(low, high, kind, bytes);
#pragma clang loop unroll(full)
	for (int i = 0; i < SLOTS; i++) {
		high = high * kind + slots[i];
		HOLD(low, high, kind, bytes);
	}
	at = (void *)(long)ctx->data;
	if ((void *)(at + 14) > (void *)(long)ctx->data_end)
		LEAVE(XDP_ABORTED);
	at[0] ^= high + low;
	if (bytes < 64)
		LEAVE(XDP_TX);
	return (high + low + kind + bytes) % 2 + XDP_DROP;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
