// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The last instruction is a jump backwards, and the only exit is in the middle.
 */
#include "packet.h"

/* Written out, since the compiler puts the exit last. */
SEC("xdp")
__attribute__((naked)) int last_is_a_jump(struct xdp_md *ctx)
{
	asm volatile(
		"r2 = *(u32 *)(r1 + 0);"
		"r3 = *(u32 *)(r1 + 4);"
		"r4 = r2;"
		"r4 += 14;"
		"if r4 > r3 goto 3f;"
		"r5 = *(u8 *)(r2 + 12);"
		"if r5 == 8 goto 2f;"
		"r0 = %[pass];"
		"1:"
		"exit;"
		"2:"
		"r5 = *(u8 *)(r2 + 5);"
		"*(u8 *)(r2 + 11) = r5;"
		"r0 = %[tx];"
		"goto 1b;"
		"3:"
		"r0 = %[drop];"
		"goto 1b;"
		:
		: [pass] "i"(XDP_PASS), [tx] "i"(XDP_TX), [drop] "i"(XDP_DROP));
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
