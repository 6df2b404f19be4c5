/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * An object whose program asks the network card about packets, for tests, built with
 *   clang-19 -g -O2 -target bpf -mcpu=v3 -fdebug-compilation-dir=. -c asks.bpf.c -o asks.bpf.o
 *   llvm-strip-19 -g asks.bpf.o
 */
typedef unsigned int u32;
typedef unsigned long long u64;

/* The kernel knows contexts by the name of this. */
struct xdp_md {
	u32 data;
};

const volatile u32 limit = 100;

extern int bpf_xdp_metadata_rx_timestamp(const struct xdp_md *ctx, u64 *time)
	__attribute__((section(".ksyms")));

__attribute__((section("xdp"), used)) int first(struct xdp_md *ctx)
{
	u64 time = 0;

	return bpf_xdp_metadata_rx_timestamp(ctx, &time) || time > limit ? 2 : 1;
}

char LICENSE[] __attribute__((section("license"), used)) = "Dual BSD/GPL";
