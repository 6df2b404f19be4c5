// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Tells each process that the kernel kills for want of memory: who it was, how
 * much it had, what was full, and who asked for more.
 */
#include "../include/counts.h"
#include "../include/probe.h"

#define MAX_COMMANDS 256
/* `enum` of linux/mm_types_task.h. */
#define MM_FILEPAGES  0
#define MM_ANONPAGES  1
#define MM_SWAPENTS   2
#define MM_SHMEMPAGES 3
#define MM_COUNTERS   4

/* What had no memory left, as linux/oom.h has it. */
enum oom_constraint {
	CONSTRAINT_NONE,
};

enum scope {
	MACHINE = 0,
	CPUSET = 1,
	MEMORY_POLICY = 2,
	CGROUP = 3,
	/* Whatever it was: that of the entry for all that has none. */
	ANY = 4,
};

struct oom_control {
	int order;
	unsigned long totalpages;
	struct task_struct *chosen;
	enum oom_constraint constraint;
} __attribute__((preserve_access_index));

struct signal_struct {
	short oom_score_adj;
} __attribute__((preserve_access_index));

struct cred {
	struct {
		__u32 val;
	} uid;
} __attribute__((preserve_access_index));

struct percpu_counter {
	__s64 count;
} __attribute__((preserve_access_index));

struct mm_struct___victim {
	unsigned long total_vm;
	struct percpu_counter rss_stat[MM_COUNTERS];
} __attribute__((preserve_access_index));

struct atomic_long {
	__s64 counter;
} __attribute__((preserve_access_index));

struct mm_rss_stat {
	struct atomic_long count[MM_COUNTERS];
} __attribute__((preserve_access_index));

/* Before Linux 6.2. */
struct mm_struct___before_6_2 {
	struct mm_rss_stat rss_stat;
} __attribute__((preserve_access_index));

struct task_struct___victim {
	struct signal_struct *signal;
	struct cred *cred;
	struct mm_struct___victim *mm;
} __attribute__((preserve_access_index));

struct pages {
	__u64 anonymous;
	__u64 file;
	__u64 shared;
	__u64 swapped;
	/* All that it has addresses for. */
	__u64 mapped;
};

struct kill {
	__u64 time_ns;
	/* What may be used of what was full, swap included. */
	__u64 limit_pages;
	struct process victim;
	struct pages victim_pages;
	/* Who asked for memory when there was none. */
	struct process asker;
	enum scope scope;
	/* How many pages side by side that was, as a power of two. */
	__s32 order;
	/* oom_score_adj of the victim: proc(5). */
	__s32 adjustment;
};

struct victim {
	command_name command;
	enum scope scope;
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 16);
} killed SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, MAX_COMMANDS);
	__type(key, struct victim);
	__type(value, __u64);
} kills SEC(".maps");

struct counter untold SEC(".maps");

static __always_inline void read_victim(struct process *process,
					struct task_struct *task)
{
	process->cgroup = BPF_CORE_READ(task, cgroups, dfl_cgrp, kn, id);
	process->pid = BPF_CORE_READ(task, tgid);
	process->thread = BPF_CORE_READ(task, pid);
	process->parent = BPF_CORE_READ(task, real_parent, tgid);
	process->uid = BPF_CORE_READ((struct task_struct___victim *)task, cred,
				     uid.val);
	BPF_CORE_READ_STR_INTO(&process->command, task, comm);
}

/* Pages of one kind. What processors did not add up yet is missing, and the
 * number may be below zero for that. */
#define read_pages(mm, kind)                                                   \
	({                                                                     \
		struct mm_struct___before_6_2 *_old = (void *)(mm);            \
		__s64 _pages;                                                  \
		if (bpf_core_field_exists(_old->rss_stat.count))               \
			_pages = BPF_CORE_READ(_old,                           \
					       rss_stat.count[kind].counter);  \
		else                                                           \
			_pages = BPF_CORE_READ(mm, rss_stat[kind].count);      \
		_pages < 0 ? 0 : _pages;                                       \
	})

static __always_inline void read_memory(struct pages *pages,
					struct mm_struct___victim *mm)
{
	pages->anonymous = read_pages(mm, MM_ANONPAGES);
	pages->file = read_pages(mm, MM_FILEPAGES);
	pages->shared = read_pages(mm, MM_SHMEMPAGES);
	pages->swapped = read_pages(mm, MM_SWAPENTS);
	pages->mapped = BPF_CORE_READ(mm, total_vm);
}

static __always_inline void count(const struct kill *event)
{
	struct victim others = {"(others)", ANY}, victim = {};
	__u64 none = 0, *counted;

	__builtin_memcpy(victim.command, event->victim.command, COMMAND_BYTES);
	victim.scope = event->scope;
	counted = count_of(&kills, &victim, &others, &none);
	if (counted)
		*counted += 1;
}

/* No inline function: its arguments bring the type of the event into BTF. */
static __noinline int describe(struct kill *event, struct oom_control *control)
{
	struct task_struct *task = BPF_CORE_READ(control, chosen);
	struct task_struct___victim *victim = (void *)task;

	event->time_ns = bpf_ktime_get_boot_ns();
	event->limit_pages = BPF_CORE_READ(control, totalpages);
	event->scope = (enum scope)BPF_CORE_READ(control, constraint);
	event->order = BPF_CORE_READ(control, order);
	event->adjustment = BPF_CORE_READ(victim, signal, oom_score_adj);
	read_victim(&event->victim, task);
	read_memory(&event->victim_pages, BPF_CORE_READ(victim, mm));
	read_process(&event->asker);
	return 0;
}

/* oom_kill_process(control, message) */
SEC("fentry/oom_kill_process")
int on_kill(__u64 *arguments)
{
	struct kill event = {};

	describe(&event, (void *)arguments[0]);
	count(&event);
	if (bpf_ringbuf_output(&killed, &event, sizeof(event), 0))
		count_lost(&untold);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
