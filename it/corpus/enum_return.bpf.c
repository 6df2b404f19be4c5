// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Returns an enumeration. */
#include "corpus.h"

SEC("xdp")
enum xdp_action enum_return(struct xdp_md *context)
{
	return judge(context);
}
