// SPDX-License-Identifier: Apache-2.0
//! Sections that are made word by word, and damaged ones.

use proptest::prelude::*;

use super::*;

/// A section of types, each a list of words; a word is a number, or a name that goes to the strings.
#[derive(Default)]
struct Made {
    words: Vec<u32>,
    strings: Vec<u8>,
}

impl Made {
    fn name(&mut self, name: &str) -> u32 {
        let at = u32::try_from(self.strings.len()).unwrap();
        self.strings.extend(name.bytes().chain([0]));
        at
    }

    /// A type: its name, its kind, whether its flag is set, how many parts follow, and its size or type.
    fn add(&mut self, name: &str, (kind, flag, count): (u32, bool, u32), size: u32, rest: &[u32]) {
        let name = self.name(name);
        self.words.extend([name, u32::from(flag) << 31 | kind << 24 | count, size]);
        self.words.extend(rest);
    }

    fn bytes(&self, endian: Endian) -> Vec<u8> {
        let types = u32::try_from(self.words.len() * 4).unwrap();
        let strings = u32::try_from(self.strings.len()).unwrap();
        let header = [24, 0, types, types, strings];
        let words = header.into_iter().chain(self.words.iter().copied());
        let first = match endian {
            Endian::Little => 0x0001_eb9f_u32.to_le_bytes(),
            Endian::Big => 0xeb9f_0100_u32.to_be_bytes(),
        };
        let rest = words.flat_map(|word| match endian {
            Endian::Little => word.to_le_bytes(),
            Endian::Big => word.to_be_bytes(),
        });
        first.into_iter().chain(rest).chain(self.strings.iter().copied()).collect()
    }
}

/// One type of each kind, in the order of the kinds.
fn every_kind() -> Made {
    let mut made = Made::default();
    made.name("");
    let [a, b] = ["a", "b"].map(|name| made.name(name));
    made.add("int", (1, false, 0), 4, &[1 << 24 | 32]);
    made.add("", (2, false, 0), 1, &[]);
    made.add("", (3, false, 0), 0, &[1, 1, 7]);
    made.add("s", (4, true, 2), 8, &[a, 1, 0, b, 1, 3 << 24 | 32]);
    made.add("u", (5, false, 1), 4, &[a, 1, 0]);
    made.add("e", (6, true, 2), 4, &[a, 0, b, u32::MAX]);
    made.add("f", (7, true, 0), 0, &[]);
    made.add("t", (8, false, 0), 3, &[]);
    made.add("", (9, false, 0), 8, &[]);
    made.add("", (10, false, 0), 9, &[]);
    made.add("", (11, false, 0), 10, &[]);
    made.add("main", (12, false, 1), 13, &[]);
    made.add("", (13, false, 2), 1, &[a, 1, 0, 0]);
    made.add("v", (14, false, 0), 11, &[1]);
    made.add(".data", (15, false, 1), 28, &[14, 0, 28]);
    made.add("double", (16, false, 0), 8, &[]);
    made.add("note", (17, false, 0), 4, &[1]);
    made.add("mark", (18, false, 0), 1, &[]);
    made.add("e64", (19, false, 1), 8, &[a, 1, 2]);
    made
}

#[test]
fn every_kind_is_read_in_both_byte_orders() {
    let made = every_kind();
    let [little, big] = [Endian::Little, Endian::Big].map(|endian| made.bytes(endian));
    let one = Btf::parse(&little, Endian::Little).unwrap();
    let other = Btf::parse(&big, Endian::Big).unwrap();
    let text = |btf: &Btf<'_>| {
        let lines = btf.types().map(|(id, name, kind)| format!("{id} `{name}` {kind:?}\n"));
        lines.collect::<String>()
    };
    assert_eq!(text(&one), text(&other));
    insta::assert_snapshot!(text(&one), @r#"
    1 `int` Int { bytes: 4, bits: 32, bit_offset: 0, signed: true, boolean: false, character: false }
    2 `` Pointer { target: 1 }
    3 `` Array { element: 1, count: 7 }
    4 `s` Struct { bytes: 8, members: [Member { name: "a", target: 1, bit_offset: 0, bits: 0 }, Member { name: "b", target: 1, bit_offset: 32, bits: 3 }] }
    5 `u` Union { bytes: 4, members: [Member { name: "a", target: 1, bit_offset: 0, bits: 0 }] }
    6 `e` Enum { bytes: 4, signed: true, values: [("a", Number { negative: false, magnitude: 0 }), ("b", Number { negative: true, magnitude: 1 })] }
    7 `f` Forward
    8 `t` Typedef { target: 3 }
    9 `` Qualified { target: 8 }
    10 `` Const { target: 9 }
    11 `` Qualified { target: 10 }
    12 `main` Function { prototype: 13, external: false }
    13 `` Prototype { returns: 1, parameters: [("a", 1), ("", 0)] }
    14 `v` Variable { target: 11 }
    15 `.data` Section { bytes: 28, variables: [SectionVariable { variable: 14, offset: 0, bytes: 28 }] }
    16 `double` Float { bytes: 8 }
    17 `note` DeclarationTag { target: 4, component: Some(1) }
    18 `mark` TypeTag { target: 1 }
    19 `e64` Enum { bytes: 8, signed: false, values: [("a", Number { negative: false, magnitude: 8589934593 })] }
    "#);
}

#[test]
fn sizes_and_names_are_found_behind_qualifiers() {
    let bytes = every_kind().bytes(Endian::Little);
    let btf = Btf::parse(&bytes, Endian::Little).unwrap();
    let variable = btf.variable("v").unwrap();
    assert_eq!((btf.bytes(variable), btf.resolve(variable).constant), (Some(28), true));
    assert_eq!(btf.section(".data"), [SectionVariable { variable, offset: 0, bytes: 28 }]);
    assert_eq!((btf.bytes(0), btf.bytes(12), btf.bytes(99)), (None, None, None));
}

#[test]
fn a_type_that_leads_to_itself_ends() {
    let mut made = Made::default();
    made.name("");
    made.add("t", (8, false, 0), 1, &[]);
    made.add("", (3, false, 0), 0, &[2, 0, 2]);
    let bytes = made.bytes(Endian::Little);
    let btf = Btf::parse(&bytes, Endian::Little).unwrap();
    assert_eq!((btf.bytes(1), btf.bytes(2)), (None, None));
    assert!(btf.resolve(1).kind.is_none());
}

#[test]
fn what_is_damaged_is_refused_with_what_is_wrong() {
    let made = every_kind();
    let bytes = made.bytes(Endian::Little);
    let refused = |bytes: &[u8]| Btf::parse(bytes, Endian::Little).unwrap_err();
    assert_eq!(refused(&made.bytes(Endian::Big)), BtfError::Header);
    assert_eq!(refused(&bytes[..bytes.len() - 1]), BtfError::Truncated);
    let mut unknown = Made::default();
    unknown.name("");
    unknown.add("x", (20, false, 0), 0, &[]);
    assert_eq!(refused(&unknown.bytes(Endian::Little)), BtfError::Kind { kind: 20 });
    let mut long = Made::default();
    long.add(&"x".repeat(MAX_NAME_BYTES + 1), (7, false, 0), 0, &[]);
    assert_eq!(refused(&long.bytes(Endian::Little)), BtfError::Name);
}

/// Whatever was read can be asked everything.
fn ask(bytes: &[u8]) {
    for endian in [Endian::Little, Endian::Big] {
        let Ok(btf) = Btf::parse(bytes, endian) else { continue };
        for (id, name, _) in btf.types() {
            let _ = (btf.resolve(id), btf.bytes(id), btf.members(id), btf.variable(name));
            let _ = (btf.section(name), btf.kind(id), btf.name(id));
        }
    }
}

proptest! {
    #[test]
    fn noise_is_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        ask(&bytes);
    }

    #[test]
    fn damage_is_read_or_refused(
        big: bool,
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        end in any::<prop::sample::Index>(),
    ) {
        let mut bytes = every_kind().bytes(if big { Endian::Big } else { Endian::Little });
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        ask(&bytes);
        bytes.truncate(end.index(bytes.len()));
        ask(&bytes);
    }

    #[test]
    fn any_words_behind_a_header_are_read_or_refused(words in prop::collection::vec(0..64_u32, 0..60), kinds: Vec<u8>) {
        let mut made = Made { words, ..Made::default() };
        made.name("");
        for kind in kinds.iter().take(8) {
            made.words.extend([0, u32::from(*kind) << 24 | 1, 1]);
        }
        ask(&made.bytes(Endian::Little));
    }
}
