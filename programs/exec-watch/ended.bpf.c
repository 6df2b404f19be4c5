// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Tells how programs end that were seen to start: how, and after how long.
 */
#include "exec-watch.h"
#include "../include/counts.h"

#define BUCKETS 8
/* The process ends with one code, whatever its threads end with. */
#define SIGNAL_GROUP_EXIT 0x00000004

struct signal_struct {
	/* Threads that did not begin to end. */
	struct {
		int counter;
	} live;
	int group_exit_code;
	unsigned int flags;
} __attribute__((preserve_access_index));

struct task_struct___ending {
	int exit_code;
	struct task_struct___ending *group_leader;
	struct signal_struct *signal;
} __attribute__((preserve_access_index));

struct ended {
	__u64 time_ns;
	__u64 lasted_ns;
	struct process process;
	/* What it returned, and the signal that ended it, if one did. */
	__u8 code;
	__u8 signal;
	bool dumped_core;
};

struct endings {
	__u64 succeeded;
	__u64 failed;
	__u64 killed;
	__u64 lasted_ms[BUCKETS];
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 18);
} ended SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, MAX_COMMANDS);
	__type(key, command_name);
	__type(value, struct endings);
} ends SEC(".maps");

struct counter ends_untold SEC(".maps");

/* How the process of a thread that ends ends, as wait(2) tells it. */
static __always_inline __u32 status_of(struct task_struct___ending *task)
{
	if (BPF_CORE_READ(task, signal, flags) & SIGNAL_GROUP_EXIT)
		return BPF_CORE_READ(task, signal, group_exit_code);
	return BPF_CORE_READ(task, group_leader, exit_code);
}

/* The bounds of buckets; `package.toml` has the same. */
static const __u32 bounds_ms[BUCKETS - 1] = {10,    100,    1000,   10000,
					     60000, 600000, 3600000};

static __always_inline __u32 bucket_of_ms(__u64 lasted_ms)
{
	__u32 bucket = 0;

#pragma unroll
	for (int at = 0; at < BUCKETS - 1; at++)
		bucket += lasted_ms > bounds_ms[at];
	return bucket;
}

static __always_inline void count(const struct running *run, __u32 status,
				  __u64 lasted_ns)
{
	struct endings none = {}, *endings;
	command_name others = "(others)";
	__u32 bucket;

	endings = count_of(&ends, run->command, others, &none);
	if (!endings)
		return;
	if (status & 0x7F)
		endings->killed += 1;
	else if (status)
		endings->failed += 1;
	else
		endings->succeeded += 1;
	bucket = bucket_of_ms((lasted_ns + 999999) / 1000000);
	if (bucket < BUCKETS)
		endings->lasted_ms[bucket] += 1;
}

/* No inline function: its arguments bring the type of the event into BTF. */
static __noinline int describe(struct ended *event, const struct running *run,
			       __u32 status, __u64 now_ns)
{
	event->time_ns = now_ns;
	event->lasted_ns = now_ns - run->started_ns;
	read_process(&event->process);
	__builtin_memcpy(event->process.command, run->command, COMMAND_BYTES);
	event->code = status >> 8;
	event->signal = status & 0x7F;
	event->dumped_core = status & 0x80;
	return 0;
}

SEC("tp/sched/sched_process_exit")
int on_exit(void *context)
{
	struct task_struct___ending *task = (void *)bpf_get_current_task();
	__u32 pid = bpf_get_current_pid_tgid() >> 32, status;
	struct ended *event;
	struct running run;
	__u64 now_ns;

	/* It ends with the last of its threads. */
	if (BPF_CORE_READ(task, signal, live.counter))
		return 0;
	/* Where the last two end at the same time, one of them tells. */
	if (!take(&running, &pid, &run, sizeof(run)))
		return 0;
	now_ns = bpf_ktime_get_boot_ns();
	status = status_of(task);
	count(&run, status, now_ns - run.started_ns);
	event = bpf_ringbuf_reserve(&ended, sizeof(*event), 0);
	if (!event) {
		count_lost(&ends_untold);
		return 0;
	}
	describe(event, &run, status, now_ns);
	bpf_ringbuf_submit(event, 0);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
