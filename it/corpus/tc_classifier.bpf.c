// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Is in the old section of classifiers. */
#include "corpus.h"

SEC("classifier")
int tc_classifier(struct __sk_buff *context)
{
	__u32 kind = context->len & 7;

	return kind ? 0 : 2;
}
