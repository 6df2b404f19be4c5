// SPDX-License-Identifier: Apache-2.0
//! Interfaces of an object that has types of every kind, and what does not fit it.

use serde_json::{Value, json};

use super::*;
use crate::{Btf, Endian};

const LITTLE: &[u8] = include_bytes!("../../testdata/kinds.btf");
const BIG: &[u8] = include_bytes!("../../testdata/kinds-big.btf");

/// Where the variables of the object lie, as its symbols say it.
fn sections() -> Vec<Section> {
    let symbol = |name: &str, offset, bytes| SectionSymbol { offset, bytes, name: name.to_owned() };
    let section = |name: &str, bytes, symbols| Section { name: name.to_owned(), bytes, symbols };
    vec![
        section(".bss", 24, vec![symbol("recent", 8, 16), symbol("total", 0, 8)]),
        section(".data", 4, vec![symbol("level", 0, 4)]),
        section(".rodata", 4, vec![symbol("limit", 0, 4)]),
        section(".rodata.str1.1", 9, vec![]),
    ]
}

fn interface(notes: &Value) -> Result<Interface, Misfits> {
    let btf = Btf::parse(LITTLE, Endian::Little).unwrap();
    let notes: Vec<MapNotes> = serde_json::from_value(notes.clone()).unwrap();
    Interface::of(Some(&btf), &sections()).with_notes(&notes, Some(&btf))
}

#[test]
fn an_object_describes_its_maps_in_both_byte_orders() {
    let one = interface(&json!([])).unwrap();
    let btf = Btf::parse(BIG, Endian::Big).unwrap();
    let other = Interface::of(Some(&btf), &sections());
    assert_eq!(one, other);
    let text = serde_json::to_string(&one).unwrap();
    assert_eq!(serde_json::from_str::<Interface>(&text).unwrap(), one);
    let map = |map: &Map| {
        let text = |part: &Option<Type>| part.as_ref().map_or("none".to_owned(), ToString::to_string);
        let inner = map.inner.as_ref();
        let inner = inner.map(|inner| format!(", holding {} of {}", inner.kind, text(&inner.value)));
        let (Map { name, kind, max_entries, .. }, inner) = (map, inner.unwrap_or_default());
        format!("{name}: {kind} of {max_entries}, {} to {}{inner}", text(&map.key), text(&map.value))
    };
    let maps: Vec<String> = one.maps.iter().map(map).collect();
    insta::assert_snapshot!(maps.join("\n"), @r"
    .bss: array of 1, none to struct of 2 fields in 24 bytes
    .data: array of 1, none to struct of 1 fields in 4 bytes
    .rodata: array of 1, none to struct of 1 fields in 4 bytes
    events: ringbuf of 4096, none to none
    latency: percpu_array of 32, u32 to u64
    next: prog_array of 8, bytes[4] to bytes[4]
    prefixes: lpm_trie of 64, prefix of ipv4 to u64
    sets: array_of_maps of 2, u32 to none, holding array of u64
    values: hash of 1024, u32 to struct of 20 fields in 176 bytes
    ");
    let value = one.map("values").unwrap().value.as_ref().unwrap();
    let fields = value.fields().unwrap().fields.iter();
    let told: Vec<String> =
        fields.map(|field| format!("{} {:?} {}", field.name, field.place, field.is)).collect();
    insta::assert_snapshot!(told.join("\n"), @r"
    lock Bytes { offset: 0 } 4 bytes of the kernel
    action Bytes { offset: 4 } enum of 3 names in 4 bytes
    wide Bytes { offset: 8 } enum of 2 names in 8 bytes
    signed_number Bytes { offset: 16 } i64
    large Bytes { offset: 32 } i128
    name Bytes { offset: 48 } char[16]
    mac Bytes { offset: 64 } [u8; 6]
    on Bytes { offset: 70 } bool
    ratio Bytes { offset: 72 } f32
    precise Bytes { offset: 80 } f64
    grid Bytes { offset: 88 } [[u32; 3]; 2]
    lines Bytes { offset: 112 } [char[4]; 2]
     Bytes { offset: 120 } union of 2 fields in 16 bytes
    ends Bytes { offset: 136 } struct of 2 fields in 4 bytes
    low Bits { bit_offset: 1120, bits: 3 } u32
    middle Bits { bit_offset: 1123, bits: 18 } u32
    high Bits { bit_offset: 1141, bits: 11 } i32
    task Bytes { offset: 144 } 8 bytes of the kernel
    context Bytes { offset: 152 } pointer
    inner Bytes { offset: 160 } [struct of 2 fields in 8 bytes; 2]
    ");
}

#[test]
fn a_value_of_every_kind_is_read_and_written() {
    let one = interface(&json!([])).unwrap();
    let is = one.map("values").unwrap().value.as_ref().unwrap();
    let bytes: Vec<u8> = (0..176).collect();
    let read = is.decode(&bytes, Endian::Little).unwrap();
    insta::assert_snapshot!(read, @r#"{"action":117835012,"wide":"1084818905618843912","signed_number":"1663540288323457296","large":"62713477665213787714649462444633760032","name":"0123456789:;<=>?","mac":[64,65,66,67,68,69],"on":70,"ratio":13257032.0,"precise":5.37095661886286e+112,"grid":[[1532647768,1600019804,1667391840],[1734763876,1802135912,1869507948]],"lines":["pqrs","tuvw"],"v4":2021227131,"v6":[120,121,122,123,124,125,126,127,128,129,130,131,132,133,134,135],"ends":{"port":34953,"local_port":35722},"low":4,"middle":119217,"high":-900,"context":"0x9f9e9d9c9b9a9998","inner":[{"hits":2745344416,"pad":164},{"hits":2880088488,"pad":172}]}"#);
}

#[test]
fn what_the_manifest_says_goes_into_the_types() {
    let notes = json!([
        {"name": "values", "role": "config", "description": "What is allowed", "field": [
            {"path": "key", "name": null, "format": "port", "label": "port"},
        ]},
    ]);
    insta::assert_snapshot!(interface(&notes).unwrap_err(), @"map `values`, `key`: the format `port` takes a number of 2 bytes without a sign, and this is u32");
    let notes = json!([
        {"name": "values", "role": "config", "field": [
            {"path": "key", "format": "ipv4"},
            {"path": "value.v6", "format": "ip", "name": "from", "default": "::1"},
            {"path": "value.mac", "format": "mac"},
            {"path": "value.ends.local_port", "name": "local", "min": 1024, "default": 8080},
            {"path": "value.inner[].hits", "unit": "packets"},
            {"path": "value.action", "format": "flags"},
            {"path": "value.signed_number", "format": "time", "clock": "unix", "unit": "s"},
            {"path": "value.low", "names": {"none": 0, "some": 7}, "default": "some"},
        ]},
        {"name": "prefixes", "field": [{"path": "value", "format": "duration", "unit": "ms", "max": "1h"}]},
        {"name": "events", "role": "event", "event": "struct event", "field": [{"path": "event.at", "format": "time", "clock": "monotonic"}]},
        {"name": "latency", "role": "metric", "field": [{"path": "value", "format": "histogram", "unit": "ns"}]},
        {"name": "next", "value_type": "be32"},
        {"name": ".bss", "field": [{"path": "value.recent", "format": "histogram", "buckets": [1, 10, 100]}]},
    ]);
    let joined = interface(&notes).unwrap();
    let text = serde_json::to_string(&joined).unwrap();
    assert_eq!(serde_json::from_str::<Interface>(&text).unwrap(), joined);
    let event = joined.map("events").unwrap().event.as_ref().unwrap();
    let mut bytes = vec![0; event.bytes()];
    bytes[..8].copy_from_slice(&90_000_000_000_u64.to_le_bytes());
    insta::assert_snapshot!(event.decode(&bytes, Endian::Little).unwrap(), @r#"{"at":"90s","who":0,"comm":""}"#);
    let value = joined.map("values").unwrap().value.as_ref().unwrap();
    let mut read = value.decode(&[0; 176], Endian::Little).unwrap();
    let object = read.as_object_mut().unwrap();
    // Fields with a default need not be given, and the kernel's are not there.
    assert!(
        object.remove("from").is_some() && object.remove("low").is_some() && object.remove("v4").is_some()
    );
    object.insert("action".to_owned(), json!(["PASS", "DROP"]));
    object.insert("signed_number".to_owned(), json!("2026-11-30T12:00:00Z"));
    object.insert("wide".to_owned(), json!("HUGE"));
    object["inner"][1]["hits"] = json!("10 packets");
    let faults = value.encode(&read, Endian::Little).unwrap_err();
    insta::assert_snapshot!(faults, @r"
    the value is missing; expected `v4` or `from`
    `/ends/local` is `0`; expected a whole number from 1024 to 65535
    ");
    let object = read.as_object_mut().unwrap();
    object.insert("v4".to_owned(), json!(1));
    object["ends"].as_object_mut().unwrap().remove("local");
    let written = value.encode(&read, Endian::Little).unwrap();
    insta::assert_snapshot!(value.decode(&written, Endian::Little).unwrap(), @r#"{"action":["PASS","DROP"],"wide":"HUGE","signed_number":"2026-11-30T12:00:00Z","large":0,"name":"","mac":"00:00:00:00:00:00","on":false,"ratio":0.0,"precise":0.0,"grid":[[0,0,0],[0,0,0]],"lines":["",""],"v4":1,"from":"0:1::","ends":{"port":0,"local":8080},"low":"some","middle":0,"high":0,"context":"0x0","inner":[{"hits":0,"pad":0},{"hits":10,"pad":0}]}"#);
    assert!(joined.map("latency").unwrap().buckets.is_some());
}

#[test]
fn all_that_does_not_fit_is_told_at_once_with_its_path() {
    let notes = json!([
        {"name": "nothing"},
        {"name": "next", "value_type": "struct nothing"},
        {"name": "values", "event": "u8", "key_type": "u16", "value_type": "u33", "field": [
            {"path": "value.nme"},
            {"path": "value.name[]"},
            {"path": "value.inner.hits"},
            {"path": "valve"},
            {"path": "value.mac", "format": "ipv4"},
            {"path": "value.name", "min": 1},
            {"path": "value.low", "default": 8},
            {"path": "value.middle", "max": -1},
            {"path": "value.high", "min": 2, "max": 1},
            {"path": "value.ratio", "format": "duration"},
            {"path": "value.signed_number", "format": "time"},
            {"path": "value.on", "names": {"no": 0}},
            {"path": "value.large", "names": "struct nothing"},
            {"path": "value.ends", "name": "name"},
            {"path": "value.ends.port", "name": "a", "clock": "boot"},
            {"path": "value.ends.local_port", "min": 10, "default": 9},
            {"path": "value.ends.local_port"},
            {"path": "value.task", "format": "hex"},
            {"path": "event", "unit": "B"},
        ]},
    ]);
    insta::assert_snapshot!(interface(&notes).unwrap_err(), @r"
    map `nothing`: the object has no such map; it has `.bss`, `.data`, `.rodata`, `events`, `latency`, `next`, `prefixes`, `sets`, `values`
    map `next`: `value_type`, `struct nothing`, is no type: the object has no such type
    map `values`: `key_type` has 2 bytes, and what is there 4
    map `values`: `value_type`, `u33`, is no type: there is no type `u33`; there are `u8`, `u16`, `u32`, `u64`, `u128`, `i8`, `i16`, `i32`, `i64`, `i128`, `be16`, `be32`, `be64`, `bool`, `f16`, `f32`, `f64`, `ipv4`, `ipv6`, `mac`, `pointer`, `spin_lock`, `timer`, `port`, `char[N]`, `bytes[N]`, `[T; N]`, `{ name: T }`, `union { name: T }`, `enum T { NAME = 1 }`
    map `values`: `event` is for maps of events, `ringbuf` and `perf_event_array`; this is a `hash`
    map `values`, `value.nme`: there is no `nme` in struct of 20 fields in 176 bytes: `lock`, `action`, `wide`, `signed_number`, `large`, `name`, `mac`, `on`, `ratio`, `precise`, `grid`, `lines`, `v4`, `v6`, `ends`, `low`, `middle`, `high`, `task`, `context`, `inner`
    map `values`, `value.name[]`: there is no `[]` in char[16]
    map `values`, `value.inner.hits`: there is no `hits` in [struct of 2 fields in 8 bytes; 2]
    map `values`, `valve`: it is no path; write `value.rate` or `value.rates[]`, beginning with `key`, `value` or `event`
    map `values`, `value.mac`: the format `ipv4` takes 4 bytes, and this is [u8; 6]
    map `values`, `value.name`: `min` is for numbers, and this is char[16]
    map `values`, `value.low`: `default` cannot be written: `/low` is `8`; expected a whole number from 0 to 7
    map `values`, `value.middle`: `max`, `-1`, is not a whole number from 0 to 4294967295
    map `values`, `value.high`: `min` is greater than `max`
    map `values`, `value.ratio`: the format `duration` takes a whole number, and this is f32
    map `values`, `value.signed_number`: the format `time` goes with `clock`: `unix`, `monotonic` or `boot`
    map `values`, `value.on`: `names` is for whole numbers, and this is bool
    map `values`, `value.large`: the object has no enumeration `struct nothing`
    map `values`, `value.ends`: the name `name` comes twice
    map `values`, `value.ends.port`: `clock` is for the format `time`, and this is of another format
    map `values`, `value.ends.local_port`: `default` cannot be written: the value is `9`; expected a whole number from 10 to 65535
    map `values`, `value.ends.local_port`: the path comes twice
    map `values`, `value.task`: the format `hex` takes whatever has nothing of the kernel in it, and this is 8 bytes of the kernel
    map `values`, `event`: there is no `event` in the map `values`
    ");
}

#[test]
fn an_entry_is_read_and_written_with_its_key() {
    let one = interface(&json!([{"name": "prefixes", "field": [{"path": "value", "unit": "/s", "min": 1}]}]))
        .unwrap();
    let map = one.map("prefixes").unwrap();
    let entry = map.encode(&json!({"key": "10.0.0.0/8", "value": "60/min"}), Endian::Big).unwrap();
    assert_eq!(entry.key, [0, 0, 0, 8, 10, 0, 0, 0]);
    let view = map.view(&entry.key, &entry.value, Endian::Big).unwrap();
    assert_eq!(serde_json::to_string(&view).unwrap(), r#"{"key":"10.0.0.0/8","value":1}"#);
    assert!(map.view(&entry.value, &[], Endian::Big).is_err());
    let refused = |map: &str, entry: &Value| {
        one.map(map).unwrap().encode(entry, Endian::Little).unwrap_err().to_string()
    };
    insta::assert_snapshot!(refused("prefixes", &json!({"key": "10/8", "value": 0, "more": 1})), @r#"
    `/key` is `"10/8"`; expected a prefix of IPv4, such as `"192.0.2.0/24"`
    `/value` is `0`; expected a whole number from 1 to 18446744073709551615, in `/s`
    `/more` does not exist; expected `key` or `value`
    "#);
    insta::assert_snapshot!(refused("prefixes", &json!({"value": 1})), @r#"`/key` is missing; expected a prefix of IPv4, such as `"192.0.2.0/24"`"#);
    insta::assert_snapshot!(refused("prefixes", &json!(1)), @"the value is `1`; expected an object with `key` and `value`");
    insta::assert_snapshot!(refused("latency", &json!({"key": 32, "value": 1})), @"`/key` is `32`; expected a key from 0 to 31");
    insta::assert_snapshot!(refused(".data", &json!({"key": 0, "value": {"level": 1}})), @"`/key` does not exist; expected `value`");
}

#[test]
fn no_more_parts_are_made_than_are_left() {
    let btf = Btf::parse(LITTLE, Endian::Little).unwrap();
    let (id, ..) = btf.types().find(|(_, name, _)| *name == "value").unwrap();
    let mut left = 50;
    assert!(crate::Type::of_btf_within(&btf, id, &mut left).is_ok());
    assert_eq!(crate::Type::of_btf_within(&btf, id, &mut left), Err(crate::Unclear::TooLarge));
    assert_eq!(left, 0, "what was tried is gone");
}

proptest::proptest! {
    #[test]
    fn damaged_types_make_an_interface_or_none(
        damage in proptest::collection::vec((proptest::prelude::any::<proptest::sample::Index>(), proptest::prelude::any::<u8>()), 1..12),
    ) {
        let mut bytes = LITTLE.to_vec();
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(btf) = Btf::parse(&bytes, Endian::Little) {
            for map in Interface::of(Some(&btf), &sections()).maps {
                for part in [map.key, map.value].into_iter().flatten() {
                    let zeros = vec![0; part.bytes().min(1 << 20)];
                    drop(part.view(&zeros, Endian::Little).map(|view| serde_json::to_string(&view)));
                }
            }
        }
    }
}
