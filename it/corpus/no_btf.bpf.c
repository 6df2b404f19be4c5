// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Has no types (BTF), and a subprogram. */
// clang: -g0
#include "corpus.h"

static __noinline int look(struct xdp_md *context)
{
	return judge(context);
}

SEC("xdp")
int no_btf(struct xdp_md *context)
{
	return look(context) == XDP_DROP ? XDP_DROP : XDP_PASS;
}
