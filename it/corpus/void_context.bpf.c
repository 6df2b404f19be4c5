// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Takes its context as a pointer to anything. */
#include "corpus.h"

SEC("xdp")
int takes_void(void *context)
{
	return judge(context);
}
