// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Counts how long devices had requests, and tells those that took long or
 * failed.
 */
#include "disk-latency.h"
#include "../include/counts.h"

#define MAX_COUNTED 256
#define DISK_BYTES  32
#define NO_SECTOR   (~0ULL)
/* The lower bits of `cmd_flags` (linux/blk_types.h). */
#define REQ_OP_MASK 0xFF
/* No operation: that of the entry for all that has none. */
#define ANY 0xFF

/* Requests that took that long are told; 0: none are. */
const volatile __u32 slow_us = 500000;
/* Requests that failed are told however long it took. */
const volatile bool tell_failures = true;

struct gendisk {
	char disk_name[DISK_BYTES];
} __attribute__((preserve_access_index));

struct request_queue {
	struct gendisk *disk;
} __attribute__((preserve_access_index));

struct request {
	struct request_queue *q;
	unsigned int cmd_flags;
	unsigned int __data_len;
	__u64 __sector;
} __attribute__((preserve_access_index));

/* Before Linux 5.17. */
struct request___before_5_17 {
	struct gendisk *rq_disk;
} __attribute__((preserve_access_index));

struct operation {
	char disk[DISK_BYTES];
	__u32 operation;
};

struct completed {
	__u64 time_ns;
	__u64 took_ns;
	/* Of 512 bytes each. */
	__u64 sector;
	struct operation what;
	__u32 bytes;
	bool failed;
};

struct requests {
	__u64 bytes;
	__u64 failed;
	__u64 took_us[TIME_BUCKETS];
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 18);
} completed SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, MAX_COUNTED);
	__type(key, struct operation);
	__type(value, struct requests);
} requests SEC(".maps");

struct counter untold SEC(".maps");

static __always_inline void read_operation(struct operation *what,
					   struct request *request)
{
	struct request___before_5_17 *old = (void *)request;
	struct gendisk *disk;

	what->operation = BPF_CORE_READ(request, cmd_flags) & REQ_OP_MASK;
	if (bpf_core_field_exists(old->rq_disk))
		disk = BPF_CORE_READ(old, rq_disk);
	else
		disk = BPF_CORE_READ(request, q, disk);
	/* A request for a queue without a disk has no name. */
	BPF_CORE_READ_STR_INTO(&what->disk, disk, disk_name);
}

static __always_inline void count(const struct completed *event)
{
	struct operation others = {"(others)", ANY};
	__u32 bucket = bucket_of(event->took_ns);
	struct requests none = {}, *counted;

	counted = count_of(&requests, &event->what, &others, &none);
	if (!counted)
		return;
	counted->bytes += event->bytes;
	counted->failed += event->failed;
	counted->took_us[bucket] += 1;
}

/* No inline function: its arguments bring the type of the event into BTF. */
static __noinline int tell(struct completed *event)
{
	if (bpf_ringbuf_output(&completed, event, sizeof(*event), 0))
		count_lost(&untold);
	return 0;
}

/* block_rq_complete(request, error, bytes) */
SEC("tp_btf/block_rq_complete")
int on_complete(__u64 *arguments)
{
	struct request *request = (void *)arguments[0];
	__u64 key = arguments[0], began_ns;
	struct completed event = {};

	event.bytes = arguments[2];
	/* The rest of the request comes back later. */
	if (event.bytes < BPF_CORE_READ(request, __data_len))
		return 0;
	if (!take(&issued, &key, &began_ns, sizeof(began_ns)))
		return 0;
	event.time_ns = bpf_ktime_get_ns();
	event.took_ns = event.time_ns - began_ns;
	event.sector = BPF_CORE_READ(request, __sector);
	/* Commands of drivers are about no place on the disk. */
	if (event.sector == NO_SECTOR)
		event.sector = 0;
	event.failed = (int)arguments[1];
	read_operation(&event.what, request);
	count(&event);
	if ((slow_us && event.took_ns >= slow_us * 1000ULL) ||
	    (event.failed && tell_failures))
		tell(&event);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
