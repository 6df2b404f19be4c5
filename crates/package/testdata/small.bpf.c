/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A small object for tests, built with
 *   clang-19 -g -O2 -target bpf -mcpu=v3 -fdebug-compilation-dir=. -c small.bpf.c -o small.bpf.o
 *   llvm-strip-19 -g small.bpf.o
 */
typedef unsigned int u32;
typedef unsigned long long u64;
typedef _Bool bool;

/* The kernel knows contexts by the names of these. */
struct xdp_md {
	u32 data;
};

struct __sk_buff {
	u32 len;
};

struct value {
	u64 packets;
	u32 marks[3];
};

struct {
	int (*type)[1];
	int (*max_entries)[8];
	u32 *key;
	struct value *value;
	int (*pinning)[1];
} seen __attribute__((section(".maps"), used));

const volatile u32 limit = 100;
const volatile bool strict = 1;
const volatile short offset = -2;
const volatile u64 window = 5000000000ULL;
const u32 not_a_knob[2] = { 1, 2 };

static void *(*const lookup)(void *map, const void *key) = (void *)1;

__attribute__((section("xdp"), used)) int first(struct xdp_md *ctx)
{
	u32 key = limit;
	struct value *value = lookup(&seen, &key);

	if (value && strict)
		value->packets += window + offset + not_a_knob[key & 1];
	return 2;
}

__attribute__((section("xdp"), used)) int second(void *ctx)
{
	return 1;
}

__attribute__((section("tc"), used)) int outgoing(struct __sk_buff *ctx)
{
	return 0;
}

char LICENSE[] __attribute__((section("license"), used)) = "Dual BSD/GPL";
