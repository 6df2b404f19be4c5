/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The numbers of errors that <bpf/usdt.bpf.h> names. Those of a machine are no
 * use here: they come with the headers of its processor.
 */
#ifndef __L3AF_LINUX_ERRNO_H__
#define __L3AF_LINUX_ERRNO_H__

#define ENOENT 2
#define EINVAL 22
#define ESRCH 3

#endif /* __L3AF_LINUX_ERRNO_H__ */
