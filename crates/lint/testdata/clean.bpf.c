/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A program of which nobody would say anything. */
#include "bpf.h"

struct settings {
	__u32 rate;
	__u32 pad;
	__u64 window_ns;
};

struct event {
	__u64 at_ns;
};

struct {
	__uint(type, 2); /* array */
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, struct settings);
} settings SEC(".maps");

struct {
	__uint(type, 6); /* percpu_array */
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} packets SEC(".maps");

struct {
	__uint(type, 9); /* lru_hash */
	__uint(max_entries, 65536);
	__type(key, __u32);
	__type(value, __u64);
} senders SEC(".maps");

struct {
	__uint(type, 27); /* ringbuf */
	__uint(max_entries, 65536);
} events SEC(".maps");

static long (*const bpf_ringbuf_output)(void *map, void *data, __u64 size, __u64 flags) = (void *)130;

const volatile __u32 slot = 0;

SEC("xdp") int clean(struct xdp_md *ctx)
{
	__u32 key = slot;
	struct event event = { .at_ns = bpf_ktime_get_ns() };
	struct settings *own = bpf_map_lookup_elem(&settings, &key);
	__u64 *count = bpf_map_lookup_elem(&packets, &key);

	if (count)
		*count += 1;
	if (!own || !own->rate)
		return 2;
	bpf_map_update_elem(&senders, &key, &event.at_ns, 0);
	bpf_ringbuf_output(&events, &event, sizeof(event), 0);
	return own->window_ns > event.at_ns ? 1 : 2;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
