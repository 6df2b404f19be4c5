// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Tells what became of a name that was asked for: the result, and how long it
 * took.
 */
#include "name-lookups.h"
#include "../include/counts.h"
#include "../include/watched.h"

#define MAX_COUNTED 512
/* No result: that of the entry for all that has none. */
#define ANY 1
/* The longest name has 253 characters (RFC 1035, 2.3.4, without the dot). */
#define NAME_BYTES 256

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

struct histogram took SEC(".maps");

struct counter untold SEC(".maps");

static __always_inline void count(__s32 result)
{
	struct asker others = {"(others)", ANY}, asker = {};
	__u64 none = 0, *counted;

	read_command(asker.command);
	asker.result = result;
	counted = count_of(&lookups, &asker, &others, &none);
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
	__u32 thread = bpf_get_current_pid_tgid();
	__s32 result = context->ax;
	struct answered *event;
	struct asking begun;
	__u64 now_ns;

	if (!take(&asking, &thread, &begun, sizeof(begun)) || !is_watched())
		return 0;
	now_ns = bpf_ktime_get_ns();
	count_time(&took, now_ns - begun.began_ns);
	count(result);
	if (now_ns - begun.began_ns < slow_us * 1000ULL &&
	    !(result && tell_failures))
		return 0;
	event = bpf_ringbuf_reserve(&answered, sizeof(*event), 0);
	if (!event) {
		count_lost(&untold);
		return 0;
	}
	describe(event, &begun, result, now_ns);
	bpf_ringbuf_submit(event, 0);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
