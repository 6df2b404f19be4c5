// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Copies packets that an interface receives. */
#include "mirror.h"

SEC("tc")
int mirror_ingress(struct __sk_buff *ctx)
{
	return mirror(ctx);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
