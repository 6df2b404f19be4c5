/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Programs that read memory of the kernel, with and without CO-RE. */
#include "bpf.h"

struct pt_regs {
	unsigned long r15, r14, r13, r12, bp, bx, r11, r10, r9, r8, ax, cx, dx, si, di;
};

struct fixed {
	__u64 spare[5];
	__u32 number;
	struct fixed *next;
};

struct adjusted {
	__u64 spare[5];
	__u32 number;
	struct adjusted *next;
} __attribute__((preserve_access_index));

static long (*const bpf_probe_read)(void *to, __u32 bytes, const void *from) = (void *)4;
static void *(*const bpf_get_current_task_btf)(void) = (void *)158;
static long (*const bpf_probe_read_kernel)(void *to, __u32 bytes, const void *from) = (void *)113;
static long (*const bpf_probe_read_kernel_str)(void *to, __u32 bytes, const void *from) = (void *)115;

__u32 last;
char name[16];

SEC("kprobe/some_function") int read_at_fixed(struct pt_regs *regs)
{
	struct fixed *given = (void *)regs->di;

	return bpf_probe_read_kernel(&last, sizeof(last), &given->number);
}

SEC("kprobe/some_function") int read_adjusted(struct pt_regs *regs)
{
	struct adjusted *given = (void *)regs->di;

	return bpf_probe_read_kernel(&last, sizeof(last), __builtin_preserve_access_index(&given->number));
}

SEC("kprobe/some_function") int read_text(struct pt_regs *regs)
{
	return bpf_probe_read_kernel_str(name, sizeof(name), (void *)regs->di);
}

SEC("kprobe/some_function") int read_kept(struct pt_regs *regs)
{
	struct fixed *given;

	bpf_probe_read_kernel(&given, sizeof(given), (void *)regs->di);
	return bpf_probe_read_kernel(&last, sizeof(last), &given->next);
}

SEC("kprobe/some_function") int read_untyped(struct pt_regs *regs)
{
	return bpf_probe_read(&last, sizeof(last), (void *)regs->di);
}

SEC("uprobe") int read_of_a_process(struct pt_regs *regs)
{
	struct fixed *given = (void *)regs->di;

	return bpf_probe_read_kernel(&last, sizeof(last), &given->number);
}

SEC("fentry/some_function") int access_at_fixed(__u64 *arguments)
{
	struct fixed *given = (void *)arguments[0];

	last = given->next->number;
	return 0;
}

SEC("fentry/some_function") int access_adjusted(__u64 *arguments)
{
	struct adjusted *given = (void *)arguments[0];

	last = given->next->number;
	return 0;
}

SEC("lsm/file_open") int decide(__u64 *arguments)
{
	struct fixed *task = bpf_get_current_task_btf();

	return arguments[1] && task->number ? -1 : 0;
}

SEC("xdp") int own_memory(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct fixed *packet = data;

	if (data + sizeof(*packet) > end)
		return 2;
	return packet->number == last ? 1 : 2;
}

char LICENSE[] SEC("license") = "GPL";
