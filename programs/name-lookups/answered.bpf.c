// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Tells what became of a name that was asked for: the result, and how long it
 * took.
 */
#include "name-lookups.h"

#define BUCKETS	    24
#define MAX_COUNTED 512
/* The longest name has 253 characters (RFC 1035, 2.3.4, without the dot). */
#define NAME_BYTES 256

/* Names are watched where all of these say so. */
const volatile __u32 first_uid = 0;
const volatile __u32 last_uid = 0xFFFFFFFF;
/* The inode of a control group; 0: all of them. */
const volatile __u64 cgroup = 0;
/* Answers that took that long are told; 0: all are. */
const volatile __u32 slow_us = 0;
/* Names that were not found are told however long it took. */
const volatile bool tell_failures = true;

struct answered {
	__u64 time_ns;
	__u64 took_ns;
	struct process process;
	char name[NAME_BYTES];
	__s32 result;
};

struct asker {
	command_name command;
	__s32 result;
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 18);
} answered SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, MAX_COUNTED);
	__type(key, struct asker);
	__type(value, __u64);
} lookups SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, BUCKETS);
	__type(key, __u32);
	__type(value, __u64);
} took SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} untold SEC(".maps");

static __always_inline bool is_watched(void)
{
	__u32 uid = bpf_get_current_uid_gid();

	if (uid < first_uid || uid > last_uid)
		return false;
	return !cgroup || bpf_get_current_cgroup_id() == cgroup;
}

static __always_inline void count(__s32 result, __u64 took_ns)
{
	__u32 bucket = bucket_of(took_ns / 1000, BUCKETS);
	struct asker others = {.command = "(others)"}, asker = {};
	__u64 none = 0, *counted;

	read_command(asker.command);
	asker.result = result;
	counted = bpf_map_lookup_elem(&lookups, &asker)
			  ?: new_count(&lookups, &asker, &others, &none);
	if (counted)
		*counted += 1;
	counted = bpf_map_lookup_elem(&took, &bucket);
	if (counted)
		*counted += 1;
}

/* No inline function: its arguments bring the type of the event into BTF. */
static __noinline int describe(struct answered *event,
			       const struct asking *begun, __s32 result,
			       __u64 now_ns)
{
	event->time_ns = now_ns;
	event->took_ns = now_ns - begun->began_ns;
	event->result = result;
	read_process(&event->process);
	__builtin_memset(event->name, 0, sizeof(event->name));
	/* Now that the library has read it, it is in memory. */
	bpf_probe_read_user_str(event->name, sizeof(event->name),
				(void *)begun->name);
	return 0;
}

SEC("uretprobe")
int on_answered(struct pt_regs *context)
{
	__u32 thread = bpf_get_current_pid_tgid(), first = 0;
	__s32 result = context->ax;
	struct asking *found, begun;
	struct answered *event;
	__u64 now_ns, *lost;

	found = bpf_map_lookup_elem(&asking, &thread);
	if (!found)
		return 0;
	begun = *found;
	bpf_map_delete_elem(&asking, &thread);
	if (!is_watched())
		return 0;
	now_ns = bpf_ktime_get_ns();
	count(result, now_ns - begun.began_ns);
	if (now_ns - begun.began_ns < slow_us * 1000ULL &&
	    !(result && tell_failures))
		return 0;
	event = bpf_ringbuf_reserve(&answered, sizeof(*event), 0);
	if (event) {
		describe(event, &begun, result, now_ns);
		bpf_ringbuf_submit(event, 0);
		return 0;
	}
	lost = bpf_map_lookup_elem(&untold, &first);
	if (lost)
		*lost += 1;
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
