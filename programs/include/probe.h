/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What probes of processes share: who runs, the arguments of functions, what
 * began and is over, and places in the tree of files.
 *
 * Structures of the kernel are declared with the fields that are read and no
 * others. Whoever loads a program finds their offsets by name (CO-RE), so that
 * one object fits all kernels.
 */
#ifndef __PROBE_H__
#define __PROBE_H__

#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#define ENOENT 2

#define COMMAND_BYTES 16
/* The longest place that a table can have, with room for what ends it. */
#define PLACE_BYTES 64
/* The longest path that is looked at, with the zero at its end. */
#define PATH_BYTES 256

struct kernfs_node {
	__u64 id;
} __attribute__((preserve_access_index));

struct cgroup {
	struct kernfs_node *kn;
} __attribute__((preserve_access_index));

struct css_set {
	struct cgroup *dfl_cgrp;
} __attribute__((preserve_access_index));

struct mm_struct {
	unsigned long arg_start;
	unsigned long arg_end;
} __attribute__((preserve_access_index));

struct task_struct {
	int pid;
	int tgid;
	char comm[COMMAND_BYTES];
	struct task_struct *real_parent;
	struct css_set *cgroups;
	struct mm_struct *mm;
} __attribute__((preserve_access_index));

/* Who it was. Numbers are those of the first namespaces of the machine. */
struct process {
	/* What the inode of its folder below /sys/fs/cgroup is. */
	__u64 cgroup;
	__u32 pid;
	__u32 thread;
	__u32 parent;
	__u32 uid;
	char command[COMMAND_BYTES];
};

/* Keys of tables, filled up with zeros: the name of a program, and a folder or
 * file. */
typedef char command_name[COMMAND_BYTES];
typedef char place_path[PLACE_BYTES];

/* The name of whoever runs now. Kernels such as 6.1 write nothing behind its
 * end, and keys of tables must be the same each time. */
static __always_inline void read_command(char *command)
{
	__builtin_memset(command, 0, COMMAND_BYTES);
	bpf_get_current_comm(command, COMMAND_BYTES);
}

/* Whoever runs now. */
static __always_inline void read_process(struct process *process)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	__u64 id = bpf_get_current_pid_tgid();

	process->cgroup = bpf_get_current_cgroup_id();
	process->pid = id >> 32;
	process->thread = id;
	process->parent = BPF_CORE_READ(task, real_parent, tgid);
	process->uid = bpf_get_current_uid_gid();
	read_command(process->command);
}

/* Registers of x86-64: the first arguments of a function, and what it returns.
 */
struct pt_regs {
	unsigned long di;
	unsigned long si;
	unsigned long dx;
	unsigned long ax;
} __attribute__((preserve_access_index));

/*
 * Takes an entry out of a table. False where there is none; also where another
 * one has its place meanwhile, or somebody else took it.
 */
static __always_inline bool take(void *table, const void *key, void *entry,
				 __u32 bytes)
{
	void *found = bpf_map_lookup_elem(table, key);

	if (!found)
		return false;
	__builtin_memcpy(entry, found, bytes);
	return bpf_map_delete_elem(table, key) != -ENOENT;
}

/* The first bytes of eight, `count` of them, and zeros behind. */
static __always_inline __u64 first_bytes(__u64 word, int count)
{
	if (count <= 0)
		return 0;
	if (count >= 8)
		return word;
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return word & ((1ULL << count * 8) - 1);
#else
	return word & ~(~0ULL >> count * 8);
#endif
}

/* What a table of places says of a path. */
struct said {
	place_path place;
	__u32 what;
	bool is_anything;
};

/*
 * Finds what a table says of a path: of the path itself, else of the closest
 * folder above it that is in the table. `/tmp` is a folder above `/tmp/x` and
 * not above `/tmpx`. Values of the table are four bytes. What it says must lie
 * in a map: of what lies there verifiers keep no account, and so do not look at
 * the rest of the way once for each folder where it may be found.
 */
static __always_inline void find_place(void *places, const char *path,
				       struct said *said)
{
	place_path place = {};

	for (int at = 0; at < PLACE_BYTES; at++) {
		char letter = path[at], next = path[at + 1];
		__u32 *value;

		if (!letter)
			break;
		place[at] = letter;
		/* The root is the one folder whose name ends with a slash. */
		if (next && next != '/' && (at || letter != '/'))
			continue;
		value = bpf_map_lookup_elem(places, place);
		if (value) {
			said->what = *value;
			said->is_anything = true;
			__builtin_memcpy(said->place, place, PLACE_BYTES);
		}
	}
}

#endif /* __PROBE_H__ */
