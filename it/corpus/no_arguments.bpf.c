// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Takes no arguments. */
#include "corpus.h"

SEC("xdp")
int no_arguments(void)
{
	return bpf_get_smp_processor_id() < 4096 ? XDP_DROP : XDP_PASS;
}
