// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Gives many verdicts, some of which are none. */
#include "corpus.h"

SEC("tc")
int tc_verdicts(struct __sk_buff *context)
{
	__u32 kind = context->len & 7;

	return kind == 7 ? 99 : kind == 6 ? -1 : kind;
}
