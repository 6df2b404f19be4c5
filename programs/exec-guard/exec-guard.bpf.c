// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Allows or denies the execution of programs by the place that they are in, and
 * tells what it denies, or would deny.
 *
 * Folders and files have a verdict each; of all that a program lies in, the
 * closest one counts. What lies in no such place is allowed.
 */
#include "../include/counts.h"
#include "../include/probe.h"

#define EPERM	    1
#define MAX_PLACES  256
#define MAX_COUNTED 512
/* How many programs can be about to begin at once. */
#define MAX_AT_ONCE 1024
/* linux/magic.h. */
#define TMPFS_MAGIC	0x01021994
#define RAMFS_MAGIC	0x858458F6
#define HUGETLBFS_MAGIC 0x958458F6

enum mode {
	/* Tells what would be denied, and denies nothing. */
	OBSERVE = 0,
	ENFORCE = 1,
};

enum verdict {
	ALLOW = 0,
	DENY = 1,
};

enum reason {
	/* A place of the table. */
	PLACE = 0,
	/* It lies in memory: tmpfs, ramfs, hugetlbfs, memfd_create(2). */
	MEMORY = 1,
	/* Its path cannot be told: it is longer than what can be looked at. */
	UNKNOWN = 2,
	/* Too many are about to begin at once: nobody looked at it. */
	TOO_MANY = 3,
	/* Whatever it was: that of the entry for all that has none. */
	ANY = 4,
};

const volatile enum mode mode = OBSERVE;
/* Users below this one may execute whatever they like. */
const volatile __u32 first_uid = 0;
/* The inode of a control group that it is about; 0: all of them. */
const volatile __u64 cgroup = 0;
/* What lies in memory and in no place of the table. */
const volatile enum verdict from_memory = ALLOW;
/* What has a path of more than 255 bytes, or comes when too many are about to
 * begin: it may lie in any place. */
const volatile enum verdict unknown_path = DENY;

struct super_block {
	unsigned long s_magic;
} __attribute__((preserve_access_index));

struct inode {
	struct super_block *i_sb;
} __attribute__((preserve_access_index));

struct path {
	void *mnt;
	void *dentry;
} __attribute__((preserve_access_index));

struct file {
	struct path f_path;
	struct inode *f_inode;
} __attribute__((preserve_access_index));

struct linux_binprm {
	struct file *file;
	const char *filename;
} __attribute__((preserve_access_index));

struct decision {
	__u64 time_ns;
	/* Who wants to execute it. */
	struct process process;
	char path[PATH_BYTES];
	/* That of the table in which it lies. */
	place_path place;
	enum reason reason;
	bool denied;
};

struct cause {
	place_path place;
	enum reason reason;
};

struct executions {
	__u64 denied;
	/* What would have been denied. */
	__u64 observed;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_PLACES);
	__type(key, place_path);
	__type(value, enum verdict);
} places SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 18);
} decisions SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_COUNTED);
	__type(key, struct cause);
	__type(value, struct executions);
} executions SEC(".maps");

struct counter untold SEC(".maps");

struct draft {
	struct decision event;
	struct said said;
	/* With whatever the kernel left behind its end. */
	char path[PATH_BYTES];
};

/*
 * Room for an event, which the stack has not. Each thread has its own, as long
 * as it is asked about: a program that can sleep may share a processor with
 * another run of itself.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_AT_ONCE);
	__type(key, __u32);
	__type(value, struct draft);
} drafts SEC(".maps");

static const struct draft nothing;

static __always_inline void count(const char *place, enum reason reason)
{
	struct cause others = {"(others)", ANY}, cause = {};
	struct executions none = {}, *counted;

	__builtin_memcpy(cause.place, place, PLACE_BYTES);
	cause.reason = reason;
	counted = count_of(&executions, &cause, &others, &none);
	if (!counted)
		return;
	if (mode == ENFORCE)
		__sync_fetch_and_add(&counted->denied, 1);
	else
		__sync_fetch_and_add(&counted->observed, 1);
}

/* No inline function: its arguments bring the type of the event into BTF. */
static __noinline int deny(struct decision *event, const char *path,
			   enum reason reason)
{
	event->time_ns = bpf_ktime_get_boot_ns();
	bpf_probe_read_kernel_str(event->path, PATH_BYTES, path);
	event->reason = reason;
	event->denied = mode == ENFORCE;
	read_process(&event->process);
	count(event->place, reason);
	if (bpf_ringbuf_output(&decisions, event, sizeof(*event), 0))
		count_lost(&untold);
	return mode == ENFORCE ? -EPERM : 0;
}

/* What there is no room to look at may lie anywhere, and is no event. */
static __always_inline int decide_unseen(void)
{
	place_path nowhere = {};

	if (unknown_path != DENY)
		return 0;
	count(nowhere, TOO_MANY);
	count_lost(&untold);
	return mode == ENFORCE ? -EPERM : 0;
}

static __always_inline bool is_in_memory(struct file *file)
{
	unsigned long magic = BPF_CORE_READ(file, f_inode, i_sb, s_magic);

	return magic == TMPFS_MAGIC || magic == RAMFS_MAGIC ||
	       magic == HUGETLBFS_MAGIC;
}

static __always_inline int decide(struct linux_binprm *program,
				  struct draft *draft)
{
	struct decision *event = &draft->event;
	struct said *said = &draft->said;

	/* A path is as the root of the process has it. */
	if (bpf_d_path(&program->file->f_path, draft->path, PATH_BYTES) < 0) {
		if (unknown_path != DENY)
			return 0;
		/* How the process called it says at least something. */
		return deny(event, program->filename, UNKNOWN);
	}
	find_place(&places, draft->path, said);
	if (said->is_anything && said->what == ALLOW)
		return 0;
	__builtin_memcpy(event->place, said->place, PLACE_BYTES);
	if (said->is_anything)
		return deny(event, draft->path, PLACE);
	if (from_memory == DENY && is_in_memory(program->file))
		return deny(event, draft->path, MEMORY);
	return 0;
}

/* bprm_check_security(program), and what programs in front of it returned. */
SEC("lsm.s/bprm_check_security")
int on_execute(__u64 *arguments)
{
	__u32 uid = bpf_get_current_uid_gid();
	__u32 thread = bpf_get_current_pid_tgid();
	int before = arguments[1], decided;
	struct draft *draft;

	if (before || uid < first_uid)
		return before;
	if (cgroup && bpf_get_current_cgroup_id() != cgroup)
		return 0;
	bpf_map_update_elem(&drafts, &thread, &nothing, BPF_ANY);
	draft = bpf_map_lookup_elem(&drafts, &thread);
	if (!draft)
		return decide_unseen();
	decided = decide((void *)arguments[0], draft);
	bpf_map_delete_elem(&drafts, &thread);
	return decided;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
