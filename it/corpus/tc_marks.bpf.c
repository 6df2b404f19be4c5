// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Writes to its context. */
#include "corpus.h"

SEC("tcx/ingress")
int tc_marks(struct __sk_buff *context)
{
	__u32 kind = context->len & 7;

	context->mark = kind;
	context->cb[1] = kind;
	return kind & 1 ? 0 : 2;
}
