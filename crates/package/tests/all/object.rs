// SPDX-License-Identifier: Apache-2.0
//! Objects: what is in them, and bytes that are none.

use package::{Endian, Object};
use proptest::prelude::*;

pub(crate) const SMALL: &[u8] = include_bytes!("../../testdata/small.bpf.o");

#[test]
fn an_object_tells_its_programs_maps_and_parameters() {
    let object = Object::parse(SMALL).unwrap();
    let programs: Vec<_> =
        object.programs.iter().map(|p| (p.function.to_string(), p.section.clone())).collect();
    let expected = [("first", "xdp"), ("outgoing", "tc"), ("second", "xdp")];
    assert_eq!(programs, expected.map(|(function, section)| (function.to_owned(), section.to_owned())));
    assert_eq!(object.program(&"second".parse().unwrap()).unwrap().instructions, 2);
    let arguments: Vec<_> = object.programs.iter().map(|p| p.argument.as_deref()).collect();
    assert_eq!(arguments, [Some("xdp_md"), Some("__sk_buff"), None]);
    let [map] = object.maps.as_slice() else { panic!("{:?}", object.maps) };
    assert_eq!((map.name.as_str(), map.kind.as_str()), ("seen", "hash"));
    assert_eq!((map.key_bytes, map.value_bytes, map.max_entries, map.pinned_by_name), (4, 24, 8, true));
    let interface = Object::interface(SMALL).unwrap();
    let read = |offset: usize, is: &maps::Type| {
        let value = is.view(&object.constants[offset..offset + is.bytes()], object.endian).unwrap();
        serde_json::to_string(&value).unwrap()
    };
    let parameters =
        interface.parameters().map(|(name, offset, is)| format!("{name}: {is} = {}", read(offset, is)));
    let mut parameters: Vec<String> = parameters.collect();
    parameters.sort();
    assert_eq!(
        parameters,
        ["limit: u32 = 100", "offset: i16 = -2", "strict: bool = true", "window: u64 = 5000000000"]
    );
    assert_eq!(object.license.as_deref(), Some("Dual BSD/GPL"));
    assert_eq!((object.endian, object.has_btf, object.has_dwarf), (Endian::Little, true, false));
}

#[test]
fn bytes_that_are_no_object_are_told_apart() {
    let refusal = |bytes: &[u8]| Object::parse(bytes).unwrap_err().to_string();
    assert!(refusal(b"").starts_with("it is not an ELF file"));
    let mut other = SMALL.to_vec();
    other[18] = 62;
    insta::assert_snapshot!(refusal(&other), @"it is an ELF file for machine 62, not for BPF (247)");
    let at = SMALL.windows(2).rposition(|pair| pair == [0x9f, 0xeb]).unwrap();
    let mut damaged = SMALL.to_vec();
    damaged[at] = 0;
    // There are two sections with this number at their beginning; only one of them is read.
    let first = SMALL.windows(2).position(|pair| pair == [0x9f, 0xeb]).unwrap();
    damaged[first] = 0;
    insta::assert_snapshot!(refusal(&damaged), @"its BTF has no valid header");
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes: Vec<u8>) {
        drop(Object::parse(&bytes));
    }

    #[test]
    fn no_damage_makes_the_reader_panic(damage in prop::collection::vec((0..SMALL.len(), any::<u8>()), 1..12)) {
        let mut bytes = SMALL.to_vec();
        for (at, byte) in damage {
            bytes[at] = byte;
        }
        drop(Object::parse(&bytes));
    }

    #[test]
    fn no_cut_makes_the_reader_panic(end in 0..SMALL.len()) {
        drop(Object::parse(&SMALL[..end]));
    }
}
