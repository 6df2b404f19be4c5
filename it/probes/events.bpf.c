// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Probes at tracepoints, by trampoline, at security hooks, and a list. */
#include "probe.h"

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

SEC("tp/sched/sched_process_exec")
int on_exec(void *context)
{
	return hit(bpf_get_attach_cookie(context), 0);
}

SEC("raw_tp/sched_process_exec")
int on_raw_exec(void *context)
{
	return hit(0, 0);
}

SEC("raw_tp/sched_process_exec")
int on_told_exec(void *context)
{
	return hit(bpf_get_attach_cookie(context), 0);
}

SEC("tp_btf/sched_process_exec")
int on_typed_exec(void *context)
{
	return hit(0, 0);
}

SEC("fentry/tcp_v4_connect")
int on_connect(void *context)
{
	return hit(0, 0);
}

SEC("fentry/tcp_v4_connect")
int on_told_connect(void *context)
{
	return hit(bpf_get_attach_cookie(context), 0);
}

SEC("fexit/tcp_v4_connect")
int on_connected(void *context)
{
	return hit(0, 0);
}

SEC("lsm/bprm_check_security")
int on_check(void *context)
{
	return hit(0, 0);
}

SEC("iter/task")
int on_task(struct bpf_iter__task *context)
{
	static const char format[] = "task %d\n";
	struct task_struct *task = context->task;
	__u64 pid;

	if (!task)
		return 0;
	pid = task->pid;
	bpf_seq_printf(context->meta->seq, format, sizeof(format), &pid,
		       sizeof(pid));
	return hit(pid, 0);
}
