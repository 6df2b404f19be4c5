// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Is in a section that no loader knows. */
#include "corpus.h"

SEC("tc_ingress_legacy")
int tc_unknown_section(struct __sk_buff *context)
{
	__u32 kind = context->len & 7;

	return kind ? 0 : 2;
}
