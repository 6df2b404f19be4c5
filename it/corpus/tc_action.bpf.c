// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Is in the old section of actions. */
#include "corpus.h"

SEC("action")
int tc_action(struct __sk_buff *context)
{
	__u32 kind = context->len & 7;

	return kind ? 3 : 2;
}
