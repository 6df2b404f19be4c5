// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Has no types (BTF), all of the stack in use, and no register free. */
// clang: -g0
#include "corpus.h"

static __noinline int look(struct xdp_md *context)
{
	return judge(context);
}

SEC("xdp")
int no_btf_full(struct xdp_md *context)
{
	volatile __u64 words[56];
	__u64 sum = 0;
	int one = look(context), two = look(context), three = look(context);

	asm volatile("" ::: "r6", "r7", "r8", "r9");
	for (int i = 0; i < 56; i++)
		words[i] = i;
	for (int i = 0; i < 56; i++)
		sum += words[i] + one + two + three;
	return sum == 0 ? XDP_DROP : one;
}
