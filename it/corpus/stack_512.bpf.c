// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Uses all 512 bytes of stack in its main function, and no saved register. */
#include "corpus.h"

SEC("xdp")
__attribute__((naked)) int stack_512(struct xdp_md *context)
{
	asm volatile("r2 = *(u32 *)(r1 + 0);"
		     "r3 = *(u32 *)(r1 + 4);"
		     "r4 = r2;"
		     "r4 += 14;"
		     "r0 = 2;"
		     "if r4 > r3 goto 1f;"
		     "r4 = *(u8 *)(r2 + 11);"
		     "*(u64 *)(r10 - 512) = r4;"
		     "*(u64 *)(r10 - 8) = r4;"
		     "r4 = *(u64 *)(r10 - 512);"
		     "r0 = *(u64 *)(r10 - 8);"
		     "r0 += r4;"
		     "r0 &= 3;"
		     "r0 >>= 1;"
		     "r0 += 1;"
		     "1: exit;"
		     :
		     :
		     : "memory");
}
