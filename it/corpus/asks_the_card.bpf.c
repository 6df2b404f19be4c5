// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Asks the network card about each packet (Linux 6.3), so that it is loaded for
 * one device and can only be a head. */
#include "corpus.h"

/* As `include/net/xdp.h` has it; only its name matters. */
enum xdp_rss_hash_type {
	XDP_RSS_TYPE_NONE = 0,
};

extern int bpf_xdp_metadata_rx_hash(const struct xdp_md *context, __u32 *hash,
				    enum xdp_rss_hash_type *type) __ksym;

SEC("xdp")
int asks_the_card(struct xdp_md *context)
{
	enum xdp_rss_hash_type type = XDP_RSS_TYPE_NONE;
	__u32 hash = 0;

	/* A driver that knows no answer says so, and a packet without one is
	 * dropped. */
	return bpf_xdp_metadata_rx_hash(context, &hash, &type) ? XDP_DROP
							       : XDP_PASS;
}
