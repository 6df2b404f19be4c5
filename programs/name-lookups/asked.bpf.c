// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Notes when a thread asks for the addresses of a name:
 * getaddrinfo(name, service, hints, answer) of the C library.
 */
#include "name-lookups.h"

SEC("uprobe")
int on_asked(struct pt_regs *context)
{
	__u32 thread = bpf_get_current_pid_tgid();
	struct asking begun = {};

	begun.name = context->di;
	/* Without a name it makes addresses of this machine, and asks nobody.
	 */
	if (!begun.name)
		return 0;
	begun.began_ns = bpf_ktime_get_ns();
	bpf_map_update_elem(&asking, &thread, &begun, BPF_ANY);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
