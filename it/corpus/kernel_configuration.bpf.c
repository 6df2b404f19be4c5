// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Asks for the configuration and the version of the kernel. */
#include "corpus.h"

extern int LINUX_KERNEL_VERSION __kconfig;
extern int CONFIG_HZ __kconfig __weak;

SEC("xdp")
int asks(struct xdp_md *context)
{
	if (LINUX_KERNEL_VERSION + CONFIG_HZ == 0)
		return XDP_ABORTED;
	return judge(context);
}
