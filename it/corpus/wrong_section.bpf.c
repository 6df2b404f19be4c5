// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Is in a section that no loader knows. */
#include "corpus.h"

SEC("ingress_filter")
int wrong_section(struct xdp_md *context)
{
	return judge(context);
}
