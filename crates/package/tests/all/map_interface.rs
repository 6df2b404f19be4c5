// SPDX-License-Identifier: Apache-2.0
//! What a manifest says of maps: what fits the object is joined with it, what does not is refused, when a package is made and
//! when it is read.

use std::error::Error;

use maps::{Endian, Role};
use package::{Manifest, Object, PackFile, PackSource, pack};
use serde_json::json;

use crate::manifest::MANIFEST;
use crate::object::SMALL;

/// What `crates/maps/testdata/kinds.bpf.c` says, in both byte orders.
const KINDS: &[u8] = include_bytes!("../../testdata/kinds.bpf.o");
const KINDS_BIG: &[u8] = include_bytes!("../../testdata/kinds-big.bpf.o");
const SPECIFICATION: &str = include_str!("../../../../docs/map-interface.md");

const MAP: &str = r#"
[[map]]
name = "seen"
role = "metric"
description = "What was seen of each"
upgrade = "fresh"
[[map.field]]
path = "key"
format = "ipv4"
label = "source"
[[map.field]]
path = "value.packets"
unit = "packets"
[[map.field]]
path = "value.marks"
name = "sizes"
format = "histogram"
buckets = [64, 512]
"#;

fn told(error: &dyn Error) -> String {
    let cause = error.source().map(|cause| format!("\n{}", told(cause)));
    format!("{error}{}", cause.unwrap_or_default())
}

fn packed(maps: &str) -> Result<(), String> {
    let file = |bytes: &[u8]| PackFile { bytes: bytes.to_vec(), executable: false };
    let files = [("small.bpf.o", file(SMALL)), ("README.md", file(b"# small"))];
    let files = files.map(|(path, file)| (path.to_owned(), file)).into();
    let source = PackSource { manifest: format!("{MANIFEST}{maps}"), files };
    pack(&source, 0).map(drop).map_err(|error| told(&error))
}

#[test]
fn an_object_says_what_is_in_its_maps() {
    let interface = Object::interface(SMALL).unwrap();
    let names: Vec<&str> = interface.maps.iter().map(|map| map.name.as_str()).collect();
    assert_eq!(names, [".rodata", "seen"]);
    let constants = interface.map(".rodata").unwrap().value.as_ref().unwrap();
    let fields: Vec<String> = constants
        .fields()
        .unwrap()
        .fields
        .iter()
        .map(|field| format!("{} at {}: {}", field.name, field.place, field.is))
        .collect();
    insta::assert_snapshot!(fields.join("\n"), @r"
    limit at byte 0: u32
    strict at byte 4: bool
    offset at byte 6: i16
    window at byte 8: u64
    not_a_knob at byte 16: [u32; 2]
    ");
}

#[test]
fn variables_lie_where_the_symbols_say_in_both_byte_orders() {
    let [little, big] = [KINDS, KINDS_BIG].map(|bytes| Object::interface(bytes).unwrap());
    assert_eq!(little, big);
    let of_variables = little.maps.iter().filter(|map| map.variables.is_some());
    let fields = of_variables.flat_map(|map| {
        let fields = &map.value.as_ref().unwrap().fields().unwrap().fields;
        fields.iter().map(|field| format!("{} {} at {}: {}", map.name, field.name, field.place, field.is))
    });
    insta::assert_snapshot!(fields.collect::<Vec<_>>().join("\n"), @r"
    .bss recent at byte 0: [u32; 4]
    .bss total at byte 16: u64
    .bss mentioned at byte 24: pointer
    .data level at byte 0: i32
    .rodata limit at byte 0: u32
    ");
    let known = Object::parse(KINDS).unwrap();
    let maps: Vec<String> = known
        .maps
        .iter()
        .map(|map| format!("{} {} {} {}", map.name, map.kind, map.key_bytes, map.value_bytes))
        .collect();
    insta::assert_snapshot!(maps.join("\n"), @r"
    events ringbuf 0 0
    latency percpu_array 4 8
    next prog_array 4 4
    prefixes lpm_trie 8 8
    sets array_of_maps 4 0
    values hash 4 176
    ");
}

#[test]
fn what_a_manifest_says_is_joined_with_what_the_object_says() {
    let manifest = Manifest::parse(&format!("{MANIFEST}{MAP}")).unwrap();
    let interfaces = manifest.interfaces(|_| SMALL).unwrap();
    let seen = interfaces["small.bpf.o"].map("seen").unwrap();
    assert_eq!((seen.role, seen.max_entries), (Some(Role::Metric), 8));
    let (key, value) = (seen.key.as_ref().unwrap(), seen.value.as_ref().unwrap());
    assert_eq!(key.decode(&[192, 0, 2, 1], Endian::Little).unwrap(), json!("192.0.2.1"));
    let read = value.decode(&[1; 24], Endian::Little).unwrap();
    insta::assert_snapshot!(read, @r#"{"packets":"72340172838076673","sizes":[16843009,16843009,16843009]}"#);
    assert_eq!(packed(MAP), Ok(()));
}

#[test]
fn a_manifest_that_does_not_fit_its_object_makes_no_package() {
    let refused = |from: &str, to: &str| {
        assert!(MAP.contains(from), "{from}");
        packed(&MAP.replace(from, to)).unwrap_err()
    };
    insta::assert_snapshot!(refused("\"seen\"", "\"unseen\""), @r"
    the maps are not what `package.toml` says
    `package.toml` says of the map `unseen` what is in it, but no object has it; there are `.rodata`, `seen`
    ");
    insta::assert_snapshot!(refused("value.packets", "value.bytes"), @r"
    the maps are not what `package.toml` says
    what `package.toml` says of maps does not fit `small.bpf.o`
    map `seen`, `value.bytes`: there is no `bytes` in struct of 2 fields in 24 bytes: `packets`, `marks`
    ");
    insta::assert_snapshot!(refused("[64, 512]", "[64]"), @r"
    the maps are not what `package.toml` says
    what `package.toml` says of maps does not fit `small.bpf.o`
    map `seen`, `value.marks`: `buckets` is for arrays of one element more than bounds, and this is 3 with 1 bounds
    ");
    insta::assert_snapshot!(refused("\"ipv4\"", "\"ipv5\""), @r#"
    `package.toml` is not a manifest: TOML parse error at line 36, column 10
       |
    36 | format = "ipv5"
       |          ^^^^^^
    unknown variant `ipv5`, expected one of `hex`, `bytes`, `text`, `ipv4`, `ipv6`, `ip`, `mac`, `port`, `be`, `prefix`, `flags`, `duration`, `time`, `histogram`
    "#);
    insta::assert_snapshot!(refused("unit =", "units ="), @r#"
    `package.toml` is not a manifest: TOML parse error at line 40, column 1
       |
    40 | units = "packets"
       | ^^^^^
    unknown field `units`, expected one of `path`, `name`, `description`, `unit`, `format`, `clock`, `default`, `min`, `max`, `names`, `open`, `label`, `buckets`
    "#);
    assert_eq!(
        packed("[[map]]\nname = \"unseen\"\nupgrade = \"fresh\"\n"),
        Ok(()),
        "it says nothing of what is in it"
    );
}

#[test]
fn examples_of_the_specification_are_read() {
    let blocks = SPECIFICATION.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let mut count = 0;
    for block in blocks {
        let manifest = Manifest::parse(&format!("{MANIFEST}{block}")).unwrap();
        assert!(manifest.maps.values().all(|map| map.notes().is_some()));
        count += 1;
    }
    assert!(count > 0, "there are examples");
}
