// SPDX-License-Identifier: Apache-2.0
/* A user program in C that uses its maps by bindings, and tells what it finds.
 */
#include "maps.h"

#include <inttypes.h>

static void must(int result)
{
	if (result < 0) {
		printf("failed: %s\n", strerror(-result));
		exit(1);
	}
}

static struct every_c_everything_value literal(void)
{
	struct every_c_everything_value value = {
		.u8 = 200,
		.s8 = -100,
		.u16 = 60000,
		.s16 = -30000,
		.u32 = 4000000000,
		.s32 = -2000000000,
		.u64 = 10000000000000000000ULL,
		.s64 = -9000000000000000000LL,
		.u128 = ((unsigned __int128)1 << 64) + 2,
		.yes = true,
		.port = l3af_be16(443),
		.order = l3af_be32(16909060),
		.wide = l3af_be64(72623859790382856),
		.single = 1.5,
		.twice = -2.25,
		.action = EVERY_C_EVERYTHING_VALUE_ACTION_ACTION_DENY,
		.flags = EVERY_C_EVERYTHING_VALUE_FLAGS_RED_LIGHT |
			 EVERY_C_EVERYTHING_VALUE_FLAGS_BLUE,
		.name = "abc",
		.raw = {1, 0, 255},
		.ipv4 = {{192, 0, 2, 1}},
		.ipv6 = {{0x20, 0x01, [15] = 1}},
		.ip = {{[10] = 0xff, 0xff, 10, 0, 0, 9}},
		.mac = {{2, 0, 0, 0, 0, 0xab}},
		.points = {{1, -1}, {300, -300}},
		.ports = {l3af_be16(1), l3af_be16(256), l3af_be16(65535)},
		.tight = {7, 100000},
		.either = {.parts = {2, 3}},
		.inside = 11,
		.type = 12,
		.took = 1500000,
		.class = 1,
		.self = 2,
		.a_b = 3,
		.a_b_ = 4,
	};

	every_c_everything_value_low_put(&value, 5);
	every_c_everything_value_middle_put(&value, -60);
	every_c_everything_value_high_put(&value, 4000000);
	return value;
}

static void compare(const char *what, const void *given)
{
	struct every_c_everything_value wanted = literal();
	const uint8_t *bytes = given, *others = (const uint8_t *)&wanted;

	for (size_t at = 0; at < sizeof(wanted); at++) {
		if (bytes[at] != others[at]) {
			printf("%s: byte %zu is %u, and not %u\n", what, at,
			       bytes[at], others[at]);
			return;
		}
	}
	printf("%s: same\n", what);
}

static void read_events(void)
{
	const every_c_events_event_t *event = NULL;
	struct every_c_events events;
	struct every_c_plain plain;
	struct l3af_ring ring;
	size_t bytes = 0;

	must(every_c_events_open(&events, NULL, NULL));
	must(l3af_ring_open(&ring, &events.map));
	while (!event) {
		must(l3af_ring_wait(&ring, 200));
		event = every_c_events_next_event(&ring, NULL);
	}
	compare("event", event);
	l3af_ring_close(&ring);
	must(every_c_plain_open(&plain, "m", "right0/xdp"));
	must(l3af_ring_open(&ring, &plain.map));
	every_c_plain_next_event(&ring, &bytes);
	printf("plain: %zu bytes\n", bytes);
	l3af_ring_close(&ring);
}

static void limit(void)
{
	struct every_c_limits_value value = every_c_limits_value_default();
	struct every_c_limits limits;
	struct l3af_be16 https = l3af_be16(443), http = l3af_be16(80), key;
	struct l3af_be16 none = l3af_be16(81);

	must(every_c_limits_open(&limits, NULL, NULL));
	value.rate = 5;
	must(every_c_limits_update(&limits, &https, &value, BPF_ANY));
	value.rate = 6;
	must(every_c_limits_update(&limits, &http, &value, BPF_ANY));
	printf("deleted: %s",
	       every_c_limits_delete(&limits, &http) ? "false" : "true");
	printf(" %s\n", every_c_limits_delete(&limits, &none) == -ENOENT
				? "false"
				: "true");
	must(every_c_limits_next(&limits, NULL, &key));
	printf("keys: [%u]\n", l3af_be16_value(key));
	if (every_c_limits_next(&limits, &key, &key) != -ENOENT)
		printf("there are more\n");
	value.rate = 1000001;
	printf("refused: %s\n", every_c_limits_update(&limits, &https, &value,
						      BPF_ANY) == -ERANGE
					? every_c_limits_value_check(&value)
					: "no");
	value.rate = 9;
	printf("again: %s\n", every_c_limits_update(&limits, &https, &value,
						    BPF_NOEXIST) == -EEXIST
				      ? "true"
				      : "false");
}

static void count(void)
{
	static struct every_c_counts_value values[4096];
	int processors = l3af_processors();
	struct every_c_counts counts;
	uint64_t packets = 0;

	must(processors);
	must(every_c_counts_open(&counts, NULL, NULL));
	must(every_c_counts_lookup(&counts, &(uint32_t){0}, values,
				   processors));
	for (int i = 0; i < processors; i++) {
		packets += values[i].packets;
		values[i].packets = i + 1;
		values[i].last = 8;
	}
	printf("counts: %s of true processors\n", packets ? "true" : "false");
	must(every_c_counts_update(&counts, &(uint32_t){1}, values,
				   processors));
}

int main(void)
{
	struct every_c_everything_value value;
	every_c_prefixes_key_t prefix = {8, {{10, 0, 0, 0}}};
	every_c_prefixes_value_t deny = EVERY_C_PREFIXES_VALUE_ACTION_DENY;
	struct every_c_bss_variables variables;
	struct every_c_data_variables others;
	struct every_c_rodata_constants constants;
	struct every_c_everything everything;
	struct every_c_prefixes prefixes;
	struct every_c_waiting waiting;
	struct every_c_bss bss;
	struct every_c_rodata rodata;
	struct every_c_settings settings;
	struct every_c_data data;
	uint32_t first, second;

	setvbuf(stdout, NULL, _IONBF, 0);
	must(every_c_everything_open(&everything, NULL, NULL));
	printf("for m at right0/xdp\n");
	while (every_c_everything_lookup(&everything, &(uint32_t){1}, &value) ==
	       -ENOENT)
		usleep(50000);
	compare("value", &value);
	value = literal();
	must(every_c_everything_update(&everything, &(uint32_t){2}, &value,
				       BPF_ANY));
	read_events();
	limit();
	must(every_c_prefixes_open(&prefixes, NULL, NULL));
	must(every_c_prefixes_update(&prefixes, &prefix, &deny, BPF_ANY));
	count();
	must(every_c_waiting_open(&waiting, NULL, NULL));
	must(every_c_waiting_push(&waiting, &(uint32_t){7}));
	must(every_c_waiting_push(&waiting, &(uint32_t){8}));
	must(every_c_waiting_pop(&waiting, &first));
	must(every_c_waiting_peek(&waiting, &second));
	printf("queue: %u %u\n", first, second);
	must(every_c_bss_open(&bss, NULL, NULL));
	must(every_c_bss_read(&bss, &variables));
	printf("seen: %s\n", variables.seen ? "true" : "false");
	must(every_c_data_open(&data, NULL, NULL));
	must(every_c_data_read(&data, &others));
	printf("told: %" PRIu32 "\n", others.told);
	others.told = 9;
	must(every_c_data_write(&data, &others));
	must(every_c_rodata_open(&rodata, NULL, NULL));
	must(every_c_rodata_read(&rodata, &constants));
	printf("constant: %" PRIu32 "\n", constants.constant);
	must(every_c_settings_open(&settings, NULL, NULL));
	must(every_c_settings_lookup(&settings, &(uint32_t){1}, &first));
	printf("configured: %u\n", first);
	printf("done\n");
	for (;;)
		pause();
}
