// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Counts the opens of files when they return: how long they took, what failed
 * and why. Those in places that somebody watches are told.
 */
#include "file-opens.h"
#include "../include/counts.h"
#include "../include/watched.h"

#define MAX_COMMANDS 256
#define MAX_FAILURES 512
#define MAX_WATCHED  64

/* Opens that took that long are told, wherever the file is; 0: none are. */
const volatile __u32 slow_us = 0;

enum which {
	ALL = 0,
	/* Those with which a file can be changed. */
	WRITES = 1,
	FAILED = 2,
};

/* In `flags` (asm-generic/fcntl.h). All programs of 64 bits have the last one.
 */
#define O_WRONLY    01
#define O_RDWR	    02
#define O_CREAT	    0100
#define O_TRUNC	    01000
#define O_LARGEFILE 0100000

struct opened {
	__u64 time_ns;
	__u64 took_ns;
	struct process process;
	/* As the program wrote it. */
	char path[PATH_BYTES];
	/* That of the table in which it lies. */
	place_path place;
	__u32 flags;
	/* Why it failed, or 0. */
	__u32 error;
};

struct opens {
	__u64 succeeded;
	__u64 failed;
};

struct failure {
	command_name command;
	/* 0: that of the entry for all that has none. */
	__u32 error;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_WATCHED);
	__type(key, place_path);
	__type(value, enum which);
} watched SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 19);
} opened SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, MAX_COMMANDS);
	__type(key, command_name);
	__type(value, struct opens);
} opens SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, MAX_FAILURES);
	__type(key, struct failure);
	__type(value, __u64);
} failures SEC(".maps");

struct histogram took SEC(".maps");

struct counter untold SEC(".maps");

struct draft {
	struct opened event;
	struct said said;
};

/* An event has no room on the stack. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct draft);
} draft SEC(".maps");

static __always_inline void count(__u32 error)
{
	command_name others = "(others)", command;
	struct opens none = {}, *counted;

	read_command(command);
	counted = count_of(&opens, command, others, &none);
	if (!counted)
		return;
	if (error)
		counted->failed += 1;
	else
		counted->succeeded += 1;
}

static __always_inline void count_failure(__u32 error)
{
	struct failure failure = {}, others = {.command = "(others)"};
	__u64 none = 0, *counted;

	read_command(failure.command);
	failure.error = error;
	counted = count_of(&failures, &failure, &others, &none);
	if (counted)
		*counted += 1;
}

static __always_inline bool is_told(enum which which, __u64 flags, __u32 error)
{
	switch (which) {
	case ALL:
		return true;
	case WRITES:
		return flags & (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC);
	case FAILED:
		return error;
	}
	return false;
}

static __always_inline void tell(struct draft *draft,
				 const struct opening *begun, __u32 error,
				 __u64 now_ns)
{
	struct opened *event = &draft->event;
	struct said *said = &draft->said;

	__builtin_memset(draft, 0, sizeof(*draft));
	event->took_ns = now_ns - begun->began_ns;
	/* Now that the kernel has read it, it is in memory. */
	bpf_probe_read_user_str(event->path, sizeof(event->path),
				(void *)begun->name);
	find_place(&watched, event->path, said);
	if (!(said->is_anything && is_told(said->what, begun->flags, error)) &&
	    !(slow_us && event->took_ns >= slow_us * 1000ULL))
		return;
	event->time_ns = now_ns;
	event->flags = begun->flags & ~O_LARGEFILE;
	event->error = error;
	__builtin_memcpy(event->place, said->place, PLACE_BYTES);
	read_process(&event->process);
	if (bpf_ringbuf_output(&opened, event, sizeof(*event), 0))
		count_lost(&untold);
}

SEC("kretprobe/do_sys_openat2")
int on_opened(struct pt_regs *context)
{
	__u32 thread = bpf_get_current_pid_tgid(), first = 0, error;
	/* An `int` on newer kernels, whose upper half says nothing. */
	__s32 result = context->ax;
	struct opening begun;
	struct draft *room;
	__u64 now_ns;

	if (!take(&opening, &thread, &begun, sizeof(begun)) || !is_watched())
		return 0;
	now_ns = bpf_ktime_get_ns();
	error = result < 0 ? -result : 0;
	count_time(&took, now_ns - begun.began_ns);
	count(error);
	if (error)
		count_failure(error);
	room = bpf_map_lookup_elem(&draft, &first);
	if (room)
		tell(room, &begun, error, now_ns);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
