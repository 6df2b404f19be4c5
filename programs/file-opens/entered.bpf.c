// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Notes when a thread begins to open a file, and which.
 *
 * open(2), openat(2), openat2(2) and creat(2) all come through
 * `do_sys_openat2`, whose arguments are a folder, the name in the memory of the
 * process, and how the file is to be opened.
 */
#include "file-opens.h"

struct open_how {
	__u64 flags;
} __attribute__((preserve_access_index));

SEC("kprobe/do_sys_openat2")
int on_open(struct pt_regs *context)
{
	struct open_how *how = (void *)context->dx;
	__u32 thread = bpf_get_current_pid_tgid();
	struct opening begun = {};

	begun.name = context->si;
	begun.flags = BPF_CORE_READ(how, flags);
	begun.began_ns = bpf_ktime_get_ns();
	bpf_map_update_elem(&opening, &thread, &begun, BPF_ANY);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
