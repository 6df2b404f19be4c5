// SPDX-License-Identifier: Apache-2.0
//! Types in words and in JSON.

use proptest::prelude::*;

use super::*;

#[track_caller]
fn notation(grammar: &str) -> String {
    let is: Type = grammar.parse().unwrap();
    let text = serde_json::to_string(&is).unwrap();
    assert_eq!(serde_json::from_str::<Type>(&text).unwrap(), is, "what is written can be read");
    text
}

#[test]
fn words_lie_as_c_lays_them_out() {
    insta::assert_snapshot!(notation("{ a: u8, b: u32, c: [u16; 3], d: i64, e: char[3] }"), @r#"{"kind":"struct","fields":[{"name":"a","offset":0,"type":{"kind":"integer","bytes":1}},{"name":"b","offset":4,"type":{"kind":"integer","bytes":4}},{"name":"c","offset":8,"type":{"kind":"array","count":3,"element":{"kind":"integer","bytes":2},"bytes":6}},{"name":"d","offset":16,"type":{"kind":"integer","signed":true,"bytes":8}},{"name":"e","offset":24,"type":{"kind":"text","bytes":3}}],"bytes":32}"#);
    insta::assert_snapshot!(notation("union { a: be16, b: ipv6 }"), @r#"{"kind":"union","fields":[{"name":"a","offset":0,"type":{"kind":"integer","order":"network","bytes":2}},{"name":"b","offset":0,"type":{"kind":"ipv6","bytes":16}}],"bytes":16}"#);
    insta::assert_snapshot!(notation("enum i8 { no = -1, yes = 0x7f }"), @r#"{"kind":"enum","names":[["no",-1],["yes",127]],"signed":true,"bytes":1}"#);
    insta::assert_snapshot!(notation("[[bool; 2]; 3]"), @r#"{"kind":"array","count":3,"element":{"kind":"array","count":2,"element":{"kind":"bool","bytes":1},"bytes":2},"bytes":6}"#);
}

#[test]
fn words_that_are_no_type_say_where_they_end_to_be_one() {
    let refused = |text: &str| text.parse::<Type>().unwrap_err().to_string();
    insta::assert_snapshot!(refused("{ a: u8 b: u8 }"), @"at character 9: expected `,` or `}`, found `b`");
    insta::assert_snapshot!(refused("[u8; -1]"), @"at character 6: expected how many, found `-`");
    insta::assert_snapshot!(refused("u33"), @"there is no type `u33`; there are `u8`, `u16`, `u32`, `u64`, `u128`, `i8`, `i16`, `i32`, `i64`, `i128`, `be16`, `be32`, `be64`, `bool`, `f16`, `f32`, `f64`, `ipv4`, `ipv6`, `mac`, `pointer`, `spin_lock`, `timer`, `port`, `char[N]`, `bytes[N]`, `[T; N]`, `{ name: T }`, `union { name: T }`, `enum T { NAME = 1 }`");
    insta::assert_snapshot!(refused("u8 x"), @"at character 4: expected nothing more, found `x`");
    insta::assert_snapshot!(refused("{ a: u8, a: u8 }"), @"the name `a` comes twice");
    insta::assert_snapshot!(refused("enum u8 { a = 256 }"), @"the number 256 of `a` does not fit");
    insta::assert_snapshot!(refused("[u64; 0xffffffffffffffff]"), @"an array cannot have 18446744073709551615 bytes");
    insta::assert_snapshot!(refused(&"[".repeat(100)), @"it is more than 16 deep");
}

#[test]
fn a_type_in_json_that_does_not_fit_together_is_refused() {
    let refused = |text: &str| serde_json::from_str::<Type>(text).unwrap_err().to_string();
    insta::assert_snapshot!(refused(r#"{"kind":"integer","bytes":17}"#), @"an integer cannot have 17 bytes");
    insta::assert_snapshot!(refused(r#"{"kind":"struct","bytes":4,"fields":[{"name":"a","offset":1,"type":{"kind":"integer","bytes":4}}]}"#), @"the field `a` does not lie within the 4 bytes of its structure");
    insta::assert_snapshot!(refused(r#"{"kind":"struct","bytes":4,"fields":[{"name":"a","offset":0,"type":{"kind":"integer","bytes":4}},{"name":"b","offset":3,"type":{"kind":"integer","bytes":1}}]}"#), @"the field `b` begins before the one in front of it ends");
    insta::assert_snapshot!(refused(r#"{"kind":"text","bytes":4,"min":1}"#), @"`min` does not go with it");
    insta::assert_snapshot!(refused(r#"{"kind":"array","bytes":4,"count":2,"element":{"kind":"integer","bytes":1}}"#), @"an array cannot have 4 bytes");
}

proptest! {
    #[test]
    fn no_text_makes_the_grammar_panic(text in "[a-z0-9{}\\[\\];:,= é-]{0,40}") {
        drop(text.parse::<Type>());
    }
}
