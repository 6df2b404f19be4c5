/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Types of every kind that maps have, and maps of many kinds. `kinds.btf` and `kinds-big.btf` are made of it with
 *   clang-19 -g -O2 -target bpfel -mcpu=v3 -fdebug-compilation-dir=. -c kinds.bpf.c -o kinds.o
 *   llvm-objcopy-19 --dump-section .BTF=kinds.btf kinds.o
 * and the same with `bpfeb` for the other byte order; the objects, stripped by `llvm-strip-19 -g`, are in
 * `crates/package/testdata`.
 */
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef u16 __be16;
typedef u32 __be32;

#define MAP __attribute__((section(".maps"), used))
#define NUMBER(name, value) int(*name)[value]
#define KPTR __attribute__((btf_type_tag("kptr")))
#define NOTE __attribute__((btf_decl_tag("a note")))

enum action { PASS = 1, DROP, LAST = DROP };
enum wide { HUGE = 1ULL << 40, NEGATIVE = -1LL };

struct bpf_spin_lock {
	u32 val;
};

struct task;

struct inner {
	u32 hits;
	u8 pad;
};

struct value {
	struct bpf_spin_lock lock;
	enum action action;
	enum wide wide;
	const volatile long long signed_number;
	__int128 large;
	char name[16];
	u8 mac[6];
	_Bool on;
	float ratio;
	double precise;
	u32 grid[2][3];
	char lines[2][4];
	union {
		__be32 v4;
		u8 v6[16];
	};
	struct {
		__be16 port;
		u16 local_port;
	} ends;
	u32 low : 3;
	u32 middle : 18;
	int high : 11;
	struct task KPTR *task;
	void *context;
	struct inner inner[2] NOTE;
};

struct prefix {
	u32 prefixlen;
	u8 address[4];
};

struct event {
	u64 at;
	u32 who;
	char comm[16];
};

struct {
	NUMBER(type, 1);
	NUMBER(max_entries, 1024);
	NUMBER(map_flags, 1);
	u32 *key;
	struct value *value;
} values MAP;

struct {
	NUMBER(type, 11);
	NUMBER(max_entries, 64);
	NUMBER(map_flags, 1);
	struct prefix *key;
	u64 *value;
} prefixes MAP;

struct {
	NUMBER(type, 6);
	NUMBER(max_entries, 32);
	u32 *key;
	u64 *value;
} latency MAP;

struct {
	NUMBER(type, 27);
	NUMBER(max_entries, 4096);
} events MAP;

struct counts {
	NUMBER(type, 2);
	NUMBER(max_entries, 4);
	u32 *key;
	u64 *value;
};

struct {
	NUMBER(type, 12);
	NUMBER(max_entries, 2);
	u32 *key;
	struct counts *values[];
} sets MAP;

struct {
	NUMBER(type, 3);
	NUMBER(max_entries, 8);
	NUMBER(key_size, 4);
	NUMBER(value_size, 4);
} next MAP;

u64 total;
u32 recent[4];
int level = 3;
const volatile u32 limit = 100;

/* BTF has no structure that nothing mentions. */
static struct event *volatile mentioned;

__attribute__((section("xdp"), used)) int count(void *ctx)
{
	total += level + recent[limit & 3];
	return mentioned ? 1 : 2;
}

char licence[] __attribute__((section("license"), used)) = "Dual BSD/GPL";
