// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Probes in code, of the kernel and of executables, and of what it costs. */
#include "probe.h"

SEC("kprobe")
int on_entry(void *context)
{
	return hit(bpf_get_attach_cookie(context), 0);
}

SEC("kretprobe")
int on_return(void *context)
{
	return hit(bpf_get_attach_cookie(context), 0);
}

SEC("uprobe")
int on_user_entry(void *context)
{
	return hit(bpf_get_attach_cookie(context), 0);
}

SEC("uretprobe")
int on_user_return(void *context)
{
	return hit(bpf_get_attach_cookie(context), 0);
}

SEC("perf_event")
int on_sample(void *context)
{
	return hit(bpf_get_attach_cookie(context), 0);
}
