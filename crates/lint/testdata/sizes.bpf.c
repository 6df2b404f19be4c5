/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Maps that are too small, too large, or of the wrong kind; and a program that chains by hand. */
#include "bpf.h"

#define MAP(name, kind, entries, of_key, of_value) \
	struct {                                   \
		__uint(type, kind);                \
		__uint(max_entries, entries);      \
		__type(key, of_key);               \
		__type(value, of_value);           \
	} name SEC(".maps")

struct page {
	__u64 words[128];
};

MAP(seen, 1, 1024, __u32, __u64); /* hash */
MAP(noted, 5, 1024, __u32, __u64); /* percpu_hash */
MAP(single, 1, 1, __u32, __u64);
MAP(empty, 1, 0, __u32, __u64);
MAP(wide_key, 2, 16, __u64, __u64); /* array */
MAP(forgetful, 9, 256, __u32, __u64); /* lru_hash */
MAP(large, 5, 16384, __u32, struct page); /* percpu_hash */
MAP(unused, 2, 16, __u32, __u64);
MAP(next_member, 3, 1, __u32, __u32); /* prog_array */

struct {
	__uint(type, 27); /* ringbuf */
	__uint(max_entries, 5000);
} odd SEC(".maps");

struct {
	__uint(type, 30); /* bloom_filter */
	__uint(max_entries, 1000);
	__type(value, __u32);
} filter SEC(".maps");

struct {
	__uint(type, 1);
	__uint(max_entries, 65536);
	__uint(map_flags, 1); /* BPF_F_NO_PREALLOC */
	__type(key, __u32);
	__type(value, struct page);
} on_demand SEC(".maps");

int second(struct xdp_md *ctx);

struct {
	__uint(type, 3);
	__uint(max_entries, 1);
	__uint(key_size, 4);
	int (*values[1])(struct xdp_md *ctx);
} own_steps SEC(".maps") = { .values = { [0] = second } };

static long (*const bpf_tail_call)(void *ctx, void *map, __u32 index) = (void *)12;
static long (*const bpf_trace_printk)(const char *text, __u32 bytes) = (void *)6;
static long (*const bpf_ringbuf_output)(void *map, void *data, __u64 size, __u64 flags) = (void *)130;
static long (*const bpf_map_peek_elem)(void *map, void *value) = (void *)89;
static long (*const bpf_loop)(__u32 times, void *step, void *ctx, __u64 flags) = (void *)181;
static long (*const bpf_fib_lookup)(void *ctx, void *parameters, int bytes, __u32 flags) = (void *)69;
static long (*const nobody_knows)(void) = (void *)999;

static long step(__u32 index, void *ctx)
{
	return 0;
}

static __attribute__((noinline)) long note(__u32 key, __u64 value)
{
	return bpf_map_update_elem(&noted, &key, &value, 0);
}

SEC("xdp") int chained(struct xdp_md *ctx)
{
	__u32 key = ctx->data;
	__u64 value = bpf_ktime_get_ns();
	char text[] = "here";

	bpf_map_update_elem(&seen, &key, &value, 0);
	bpf_map_update_elem(&single, &key, &value, 0);
	bpf_map_update_elem(&forgetful, &key, &value, 0);
	bpf_map_lookup_elem(&empty, &key);
	bpf_map_lookup_elem(&wide_key, &value);
	bpf_map_lookup_elem(&large, &key);
	bpf_map_lookup_elem(&on_demand, &key);
	bpf_map_peek_elem(&filter, &key);
	bpf_ringbuf_output(&odd, &value, sizeof(value), 0);
	bpf_trace_printk(text, sizeof(text));
	bpf_loop(3, step, &key, 0);
	bpf_fib_lookup(ctx, text, sizeof(text), 0);
	nobody_knows();
	note(key, value);
	bpf_tail_call(ctx, &next_member, 0);
	return 2;
}

SEC("xdp") int second(struct xdp_md *ctx)
{
	bpf_tail_call(ctx, &own_steps, 0);
	return 2;
}

char LICENSE[] SEC("license") = "Apache-2.0";
