// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Has its own name for the structure of its context. */
#include "corpus.h"

struct own_name {
	__u32 data;
	__u32 data_end;
};

SEC("xdp")
int own_name(struct own_name *context)
{
	return judge((struct xdp_md *)context);
}
