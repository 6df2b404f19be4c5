// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A static probe of an executable, whose argument it reads. */
#include "probe.h"

/* As much of it as libbpf reads arguments from, for x86-64. */
struct pt_regs {
	unsigned long r15, r14, r13, r12, bp, bx, r11, r10, r9, r8;
	unsigned long ax, cx, dx, si, di, orig_ax, ip, cs, flags, sp, ss;
};

#define __TARGET_ARCH_x86
#include <bpf/usdt.bpf.h>

SEC("usdt")
int on_static(struct pt_regs *context)
{
	long value = 0;

	bpf_usdt_arg(context, 0, &value);
	return hit(value, 0);
}
