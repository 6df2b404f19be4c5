// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Leaves at many places and keeps all saved registers busy. */
#include "corpus.h"

SEC("xdp")
__attribute__((naked)) int many_exits(struct xdp_md *context)
{
	asm volatile("r6 = r1;"
		     "r7 = *(u32 *)(r1 + 0);"
		     "r8 = *(u32 *)(r1 + 4);"
		     "r9 = r7;"
		     "r9 += 34;"
		     "r0 = 2;"
		     "if r9 > r8 goto 1f;"
		     "r9 = *(u8 *)(r7 + 11);"
		     "r9 &= 7;"
		     "if r9 == 0 goto 2f;"
		     "if r9 == 1 goto 3f;"
		     "if r9 == 2 goto 4f;"
		     "r0 = *(u32 *)(r6 + 12);"
		     "r0 = 2;"
		     "exit;"
		     "1: exit;"
		     "2: r0 = 1; exit;"
		     "3: r0 = 0; exit;"
		     "4: r0 = 77; exit;"
		     :
		     :
		     : "memory");
}
