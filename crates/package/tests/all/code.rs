// SPDX-License-Identifier: Apache-2.0
//! Instructions of objects, and what is known of them.

use package::Code;

use crate::object::SMALL;

#[test]
fn instructions_have_what_they_name_and_where_they_are_from() {
    let code = Code::read(SMALL).unwrap();
    let names: Vec<&str> = code.functions.iter().map(|function| function.name.as_str()).collect();
    assert_eq!(names, ["outgoing", "first", "second"]);
    let first = &code.functions[1];
    assert_eq!((first.section.as_str(), first.adjusted), ("xdp", 0));
    let told = first.instructions.iter().filter_map(|insn| {
        let what = insn.map().map(str::to_owned).or_else(|| Some(format!("helper {}", insn.helper()?)))?;
        let line = first.line(insn.slot).unwrap();
        Some(format!("{}: {what}: {}:{}: {}", insn.slot, line.file, line.number, line.text.trim()))
    });
    insta::assert_snapshot!(told.collect::<Vec<_>>().join("\n"), @r"
    6: seen: ./small.bpf.c:44: struct value *value = lookup(&seen, &key);
    8: helper 1: ./small.bpf.c:44: struct value *value = lookup(&seen, &key);
    ");
}

#[test]
fn damage_in_what_helps_to_tell_places_is_no_error() {
    let at = SMALL.windows(4).position(|bytes| bytes == [0x9f, 0xeb, 1, 0]).unwrap();
    let ext = at + 4 + SMALL[at + 4..].windows(4).position(|bytes| bytes == [0x9f, 0xeb, 1, 0]).unwrap();
    for offset in 4..32 {
        let mut bytes = SMALL.to_vec();
        bytes[ext + offset] = 0xff;
        assert_eq!(Code::read(&bytes).unwrap().functions.len(), 3);
    }
}
