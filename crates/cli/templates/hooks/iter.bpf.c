// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Lists the processes, and counts how many it listed. */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

/* As much of it as is needed here; offsets are found by name. */
struct seq_file;
struct task_struct {
	int pid;
} __attribute__((preserve_access_index));

struct bpf_iter_meta {
	struct seq_file *seq;
} __attribute__((preserve_access_index));

struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
} __attribute__((preserve_access_index));

/* How often it ran, on each processor. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} counts SEC(".maps");

static __always_inline void count(void)
{
	__u32 first = 0;
	__u64 *times = bpf_map_lookup_elem(&counts, &first);

	if (times)
		(*times)++;
}

SEC("iter/task")
int on_task(struct bpf_iter__task *ctx)
{
	static const char format[] = "%d\n";
	struct task_struct *task = ctx->task;
	__u64 pid;

	if (!task)
		return 0;
	count();
	pid = task->pid;
	bpf_seq_printf(ctx->meta->seq, format, sizeof(format), &pid,
		       sizeof(pid));
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
