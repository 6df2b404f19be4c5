// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The last member of test chains at TC: a verdict that no other gives. */
#include "corpus.h"

SEC("tc")
int ends_tc(struct __sk_buff *context)
{
	return 8; /* TC_ACT_TRAP */
}
