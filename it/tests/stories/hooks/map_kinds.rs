// SPDX-License-Identifier: Apache-2.0
//! Every kind of type that BTF has, in maps of the kernel, with a compiler as the judge: a program takes a value apart that was
//! written as JSON, and puts one together that is read as JSON.

use it::{Node, ping};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use crate::{packages, rounds, scene};

/// Fields are moved by their names, so that where they lie is the compiler's business alone. Numbers with a part behind the point are
/// no business of eBPF: their bits are moved.
const SOURCE: &str = r#"// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

enum small { S_ONE = 1, S_TWO = 2 };
enum negative { N_LESS = -5, N_MORE = 7 };
enum large { L_LOW = 1, L_HIGH = 0x100000001ULL };
struct undefined;
typedef __u16 number;
typedef int (*function)(int);

struct kinds {
	__u8 u8; __s8 s8; __u16 u16; __s16 s16; __u32 u32; __s32 s32; __u64 u64; __s64 s64;
	bool truth;
	char text[5];
	enum small small; enum negative negative; enum large large;
	float single; double twice;
	void *pointer; struct undefined *forward; function call;
	const volatile number typed;
	__u16 several[3];
	struct { __u8 first; __u64 second; } inner;
	struct { __u8 bare_first; __u32 bare_second; };
	union { __u32 whole; __u16 half; } either;
	union { __u64 bare_whole; __u8 bare_part; };
	__u32 bits_three : 3, bits_seven : 7; __s32 bits_signed : 12; __u64 bits_wide : 37;
	__u8 __attribute__((btf_decl_tag("marked"))) marked;
	__u8 __attribute__((btf_type_tag("typed"))) *tagged;
	__u8 last;
} __attribute__((aligned(8)));

struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 2); __type(key, __u32); __type(value, struct kinds); } values SEC(".maps");
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 2); __type(key, __u32); __type(value, __u64[44]); } parts SEC(".maps");
struct kinds kept;

#define EACH(move) \
	move(u8) move(s8) move(u16) move(s16) move(u32) move(s32) move(u64) move(s64) move(truth) \
	move(text[0]) move(text[1]) move(text[2]) move(text[3]) move(text[4]) move(small) move(negative) move(large) \
	bits(single, __u32) bits(twice, __u64) bits(pointer, __u64) bits(forward, __u64) bits(call, __u64) bits(typed, __u16) \
	move(several[0]) move(several[1]) move(several[2]) move(inner.first) move(inner.second) move(bare_first) \
	move(bare_second) move(either.whole) move(bare_whole) move(bits_three) move(bits_seven) move(bits_signed) \
	move(bits_wide) move(marked) bits(tagged, __u64) move(last)

SEC("xdp") int apart(struct xdp_md *context)
{
	__u32 first = 0, second = 1, at = 0;
	struct kinds *given = bpf_map_lookup_elem(&values, &first), *made = bpf_map_lookup_elem(&values, &second);
	__u64 *told = bpf_map_lookup_elem(&parts, &first), *wanted = bpf_map_lookup_elem(&parts, &second);

	if (!given || !made || !told || !wanted)
		return XDP_PASS;
#define move(field) told[at++] = (__u64)given->field;
#define bits(field, type) told[at++] = *(type *)&given->field;
	EACH(move)
#undef move
#undef bits
	at = 0;
#define move(field) made->field = wanted[at]; kept.field = wanted[at++];
#define bits(field, type) *(type *)&made->field = wanted[at]; *(type *)&kept.field = wanted[at++];
	EACH(move)
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
"#;

/// A value, and each of its parts as a number of 64 bits, in the order in which the program moves them.
#[derive(Debug, Clone)]
struct Sample {
    value: Value,
    parts: Vec<u64>,
}

/// A number as JSON has it: text where it is beyond what JSON is exact for.
fn number(number: i128) -> Value {
    const EXACT: i128 = (1 << 53) - 1;
    if (-EXACT..=EXACT).contains(&number) {
        json!(i64::try_from(number).unwrap())
    } else {
        json!(number.to_string())
    }
}

fn sample(seed: &[u64; 20], letters: &str) -> Sample {
    let low = |bits: u32, value: u64| if bits == 64 { value } else { value & ((1 << bits) - 1) };
    let signed = |bits: u32, value: u64| (value << (64 - bits)).cast_signed() >> (64 - bits);
    let [s8, s16, s32, bits] =
        [(8, seed[1]), (16, seed[3]), (32, seed[7]), (12, seed[5])].map(|(bits, value)| signed(bits, value));
    let hex = |value: u64| json!(format!("{value:#x}"));
    let (single, twice) = (
        f32::from_bits(u32::try_from(low(30, seed[4])).unwrap()),
        f64::from_bits(seed[5] & 0xbfff_ffff_ffff_ffff),
    );
    let (small, small_name) = [(1, "S_ONE"), (2, "S_TWO")][usize::from(seed[0] % 2 == 1)];
    let (negative, negative_name) = [(-5_i64, "N_LESS"), (7, "N_MORE")][usize::from(seed[1] % 2 == 1)];
    let (large, large_name) = [(1, "L_LOW"), (0x1_0000_0001, "L_HIGH")][usize::from(seed[2] % 2 == 1)];
    let mut text = [0_u8; 5];
    text[..letters.len()].copy_from_slice(letters.as_bytes());
    let parts = [
        vec![
            low(8, seed[0]),
            s8.cast_unsigned(),
            low(16, seed[2]),
            s16.cast_unsigned(),
            low(32, seed[6]),
            s32.cast_unsigned(),
            seed[8],
            seed[9],
            seed[10] & 1,
        ],
        text.map(u64::from).to_vec(),
        vec![small, negative.cast_unsigned(), large],
        vec![single.to_bits().into(), twice.to_bits(), seed[11], seed[12], seed[13], low(16, seed[14])],
        vec![
            low(16, seed[15]),
            low(16, seed[16]),
            low(16, seed[17]),
            low(8, seed[18]),
            seed[19],
            low(8, seed[19]),
            low(32, seed[0]),
            low(32, seed[1]),
            seed[2],
        ],
        vec![
            low(3, seed[3]),
            low(7, seed[4]),
            bits.cast_unsigned(),
            low(37, seed[6]),
            low(8, seed[7]),
            seed[8],
            low(8, seed[9]),
        ],
    ];
    let value = json!({
        "u8": low(8, seed[0]), "s8": s8, "u16": low(16, seed[2]), "s16": s16, "u32": low(32, seed[6]), "s32": s32,
        "u64": number(seed[8].into()), "s64": number(seed[9].cast_signed().into()), "truth": seed[10] & 1 == 1, "text": letters,
        "small": small_name, "negative": negative_name,
        "large": large_name, "single": serde_json::from_str::<Value>(&format!("{single:e}")).unwrap(), "twice": twice,
        "pointer": hex(seed[11]), "forward": hex(seed[12]), "call": hex(seed[13]), "typed": low(16, seed[14]),
        "several": [low(16, seed[15]), low(16, seed[16]), low(16, seed[17])], "inner": { "first": low(8, seed[18]), "second": number(seed[19].into()) },
        "bare_first": low(8, seed[19]), "bare_second": low(32, seed[0]),
        "either": { "whole": low(32, seed[1]), "half": low(16, seed[1]) }, "bare_whole": number(seed[2].into()), "bare_part": low(8, seed[2]),
        "bits_three": low(3, seed[3]), "bits_seven": low(7, seed[4]), "bits_signed": bits, "bits_wide": number(low(37, seed[6]).into()),
        "marked": low(8, seed[7]), "tagged": hex(seed[8]), "last": low(8, seed[9]),
    });
    Sample { value, parts: parts.concat() }
}

/// What a map holds under a key.
fn held(node: &Node, map: &str, key: &str) -> Value {
    let told = node.l3af(&["get", "kinds", map, key, "--json"]).unwrap();
    serde_json::from_str::<Value>(&told).unwrap()["value"].clone()
}

fn set(node: &Node, map: &str, key: u32, value: &Value) {
    node.l3af(&["set", "kinds", map, &format!("{key}={value}")]).unwrap();
}

#[test]
fn values_of_every_kind_are_for_programs_what_they_are_in_json() {
    let (pair, node) = scene();
    let program = "[[program]]\nfunction = \"apart\"\nobject = \"kinds.bpf.o\"\nsource = \"kinds.bpf.c\"\nhook = \"xdp\"\n";
    let package = packages().from_source(("kinds", "1.0.0"), SOURCE, program).unwrap();
    let document = format!(
        "[[chain]]\ninterface = \"right0\"\nhook = \"xdp\"\nmember = [{{ name = \"kinds\", package = \"{package}\" }}]\n"
    );
    node.apply(&document).unwrap().success().unwrap();
    let cases = u32::try_from(rounds(24, 3)).unwrap();
    let mut runner = TestRunner::new(Config {
        cases,
        failure_persistence: None,
        max_shrink_iters: 0,
        ..Config::default()
    });
    let any =
        (proptest::array::uniform20(any::<u64>()), proptest::array::uniform20(any::<u64>()), "[a-z]{0,5}");
    let checked = runner.run(&any, |(one, other, letters)| {
        let (apart, together) = (sample(&one, &letters), sample(&other, &letters));
        set(&node, "values", 0, &apart.value);
        let mut wanted: Vec<Value> = together.parts.iter().map(|part| number((*part).into())).collect();
        wanted.resize(44, json!(0));
        set(&node, "parts", 1, &json!(wanted));
        ping(&pair, 1).unwrap();
        let told = held(&node, "parts", "0");
        let told = told.as_array().unwrap();
        let parts: Vec<Value> = apart.parts.iter().map(|part| number((*part).into())).collect();
        prop_assert_eq!(&told[..parts.len()], parts.as_slice());
        prop_assert_eq!(&held(&node, "values", "1"), &together.value);
        prop_assert_eq!(&held(&node, "values", "0"), &apart.value);
        let variables = node.l3af(&["get", "kinds", ".bss"]).unwrap();
        let variables: Value = serde_json::from_str(&variables).unwrap();
        prop_assert_eq!(&variables["kept"], &together.value);
        Ok(())
    });
    checked.unwrap();
}
