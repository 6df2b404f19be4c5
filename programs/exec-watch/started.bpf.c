// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Tells each program that starts: its file, its arguments, and who started it.
 */
#include "exec-watch.h"
#include "../include/counts.h"
#include "../include/watched.h"

#define ARGUMENT_BYTES 256

/* What the name of a program that is watched begins with. */
const volatile char command_prefix[COMMAND_BYTES] = "";
/* Without, programs are counted only. */
const volatile bool tell = true;

struct trace_event_raw_sched_process_exec {
	__u32 __data_loc_filename;
} __attribute__((preserve_access_index));

struct started {
	__u64 time_ns;
	struct process process;
	char parent_command[COMMAND_BYTES];
	char file[PATH_BYTES];
	/* With spaces between them. */
	char arguments[ARGUMENT_BYTES];
	/* How long all of them are, however much of that is here. */
	__u32 argument_bytes;
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 19);
} started SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, MAX_COMMANDS);
	__type(key, command_name);
	__type(value, __u64);
} starts SEC(".maps");

struct counter starts_untold SEC(".maps");

static __always_inline bool is_named_so(const struct process *process)
{
	for (int at = 0; at < COMMAND_BYTES && command_prefix[at]; at++)
		if (process->command[at] != command_prefix[at])
			return false;
	return true;
}

static __always_inline void count(const struct process *process)
{
	command_name others = "(others)";
	__u64 none = 0, *counted;

	counted = count_of(&starts, process->command, others, &none);
	if (counted)
		*counted += 1;
}

/*
 * Arguments lie one behind the other, each with a zero at its end. Zeros become
 * spaces, eight bytes at once: adding 0x7F to the lower bits of a byte carries
 * into its highest bit unless they are zero.
 */
static __always_inline void join(char *arguments, __u32 length)
{
	const __u64 low = 0x7F7F7F7F7F7F7F7FULL;
	__u64 *words = (__u64 *)arguments;

	for (__u32 at = 0; at < ARGUMENT_BYTES / 8; at++) {
		__u64 zeros = ~(((words[at] & low) + low) | words[at] | low);

		if (at * 8 >= length)
			break;
		/* 0x80 becomes 0x20. Behind the end zeros stay. */
		words[at] =
			first_bytes(words[at] | zeros >> 2, length - at * 8);
	}
}

/* Where a text was cut, a character of several bytes may be cut as well: what
 * is there of it goes, so that the text is UTF-8. */
static __always_inline void trim(char *cut)
{
	const int end = ARGUMENT_BYTES - 1;

	cut[end] = 0;
	if ((__u8)cut[end - 1] >= 0xC0)
		cut[end - 1] = 0;
	else if ((__u8)cut[end - 2] >= 0xE0)
		cut[end - 2] = cut[end - 1] = 0;
	else if ((__u8)cut[end - 3] >= 0xF0)
		cut[end - 3] = cut[end - 2] = cut[end - 1] = 0;
}

static __always_inline void read_arguments(struct started *event,
					   struct task_struct *task)
{
	__u64 begin = BPF_CORE_READ(task, mm, arg_start);
	__u64 bytes = BPF_CORE_READ(task, mm, arg_end) - begin;
	__u32 length = bytes;

	__builtin_memset(event->arguments, 0, sizeof(event->arguments));
	event->argument_bytes = bytes;
	if (bytes > ARGUMENT_BYTES)
		length = ARGUMENT_BYTES;
	if (!length ||
	    bpf_probe_read_user(event->arguments, length, (void *)begin))
		return;
	/* The zero behind the last one is no space. */
	join(event->arguments, length - 1);
	if (bytes > ARGUMENT_BYTES)
		trim(event->arguments);
}

/* No inline function: its arguments bring the type of the event into BTF. */
static __noinline int describe(struct started *event, const void *name)
{
	struct task_struct *task = (void *)bpf_get_current_task();

	__builtin_memset(event->parent_command, 0, COMMAND_BYTES);
	BPF_CORE_READ_STR_INTO(&event->parent_command, task, real_parent, comm);
	__builtin_memset(event->file, 0, sizeof(event->file));
	bpf_probe_read_kernel_str(event->file, sizeof(event->file), name);
	read_arguments(event, task);
	return 0;
}

SEC("tp/sched/sched_process_exec")
int on_exec(struct trace_event_raw_sched_process_exec *context)
{
	struct running run = {};
	struct process process;
	struct started *event;
	__u32 pid;

	if (!is_watched())
		return 0;
	read_process(&process);
	if (!is_named_so(&process))
		return 0;
	pid = process.pid;
	run.started_ns = bpf_ktime_get_boot_ns();
	__builtin_memcpy(run.command, process.command, COMMAND_BYTES);
	bpf_map_update_elem(&running, &pid, &run, BPF_ANY);
	count(&process);
	if (!tell)
		return 0;
	event = bpf_ringbuf_reserve(&started, sizeof(*event), 0);
	if (!event) {
		count_lost(&starts_untold);
		return 0;
	}
	event->time_ns = run.started_ns;
	event->process = process;
	/* Where the text begins is in the lower half. */
	describe(event, (void *)context + (__u16)context->__data_loc_filename);
	bpf_ringbuf_submit(event, 0);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
