// SPDX-License-Identifier: Apache-2.0
//! Reading and writing values: what is written is read, whatever the type, in both byte orders.

use maps::{Endian, FaultKind, Type};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::made::{Dice, endian, types};

/// Whether all of one value is in another: a union that was written by one field shows all.
fn within(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => {
            one.iter().all(|(name, value)| other.get(name).is_some_and(|other| within(value, other)))
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| within(one, other))
        }
        (one, other) => one == other,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn what_is_written_is_read(is in types(), endian in endian(), thrown in prop::collection::vec(any::<u64>(), 1..40)) {
        let value = Dice::new(thrown).value(&is, endian);
        let bytes = match is.encode(&value, endian) {
            Ok(bytes) => bytes,
            Err(faults) => return Err(TestCaseError::fail(format!("{value}: {faults}"))),
        };
        let read = is.decode(&bytes, endian).unwrap();
        prop_assert!(within(&value, &read), "{value} became {read}");
        match is.encode(&read, endian) {
            Ok(again) => prop_assert_eq!(again, bytes),
            // A field of a union may read as what cannot be written, and none contradicts another.
            Err(faults) => prop_assert!(faults.all().iter().all(|fault| fault.kind != FaultKind::Contradiction)),
        }
    }

    #[test]
    fn what_is_read_is_written_up_to_padding(
        is in types(),
        endian in endian(),
        some in prop::collection::vec(prop_oneof![Just(0), Just(0xff), any::<u8>()], 400),
    ) {
        let bytes: Vec<u8> = some.into_iter().cycle().take(is.bytes()).collect();
        let value = is.decode(&bytes, endian).unwrap();
        let text = serde_json::to_string(&is.view(&bytes, endian).unwrap()).unwrap();
        prop_assert_eq!(&serde_json::from_str::<Value>(&text).unwrap(), &value, "text and value are the same");
        // What is no truth value, and a prefix that is longer than its key, are shown and cannot be written.
        match is.encode(&value, endian) {
            Ok(again) => prop_assert_eq!(is.decode(&again, endian).unwrap(), value),
            Err(faults) => prop_assert!(faults.all().iter().all(|fault| fault.kind == FaultKind::Kind), "{}", faults),
        }
    }

    #[test]
    fn a_type_in_json_is_the_same_type(is in types()) {
        let text = serde_json::to_string(&is).unwrap();
        prop_assert_eq!(serde_json::from_str::<Type>(&text).unwrap(), is);
    }

    #[test]
    fn whatever_is_given_is_written_or_refused_with_words(is in types(), endian in endian(), other in types(), thrown in prop::collection::vec(any::<u64>(), 1..20)) {
        let value = Dice::new(thrown).value(&other, endian);
        if let Err(faults) = is.encode(&value, endian) {
            prop_assert!(!faults.all().is_empty());
            prop_assert!(faults.all().iter().all(|fault| !fault.expected.is_empty()));
        }
    }
}

#[track_caller]
fn refused(grammar: &str, value: &Value) -> String {
    let is: Type = grammar.parse().unwrap();
    is.encode(value, Endian::Little).unwrap_err().to_string()
}

#[test]
fn all_that_is_wrong_is_told_at_once_with_its_place() {
    let grammar = "{ rate: u16, action: enum u8 { pass = 1, drop = 2 }, from: ipv4, name: char[4], of: [u8; 2], on: bool }";
    let value = json!({"rate": 70000, "action": "dorp", "from": "1.2.3", "name": "too long", "of": [1, 256], "no": 1});
    insta::assert_snapshot!(refused(grammar, &value), @r#"
    `/rate` is `70000`; expected a whole number from 0 to 65535
    `/action` is `"dorp"`; expected `pass` or `drop`
    `/from` is `"1.2.3"`; expected an address of IPv4, such as `"192.0.2.1"`
    `/name` is `"too long"`; expected text of at most 4 bytes, or an array of as many numbers as those
    `/of/1` is `256`; expected a whole number from 0 to 255
    `/on` is missing; expected `true` or `false`
    `/no` does not exist; expected `rate`, `action`, `from`, `name`, `of` or `on`
    "#);
    insta::assert_snapshot!(refused("u8", &json!(true)), @"the value is `true`; expected a whole number from 0 to 255");
    insta::assert_snapshot!(refused("u8", &json!(1.5)), @"the value is `1.5`; expected a whole number from 0 to 255");
    insta::assert_snapshot!(refused("[u8; 2]", &json!([1])), @"the value is `[1]`; expected an array of 2 elements, not of 1");
    insta::assert_snapshot!(refused("{ a: u8 }", &json!([1])), @"the value is `[1]`; expected an object with `a`");
    insta::assert_snapshot!(refused("union { a: u8, b: i8 }", &json!({})), @"the value is missing; expected `a` or `b`");
    insta::assert_snapshot!(refused("union { a: u8, b: i8 }", &json!({"a": 255, "b": 0})), @"`/b` is `0`; expected the same bytes as in `a`, or one of the two");
    insta::assert_snapshot!(refused("{ lock: spin_lock, a: u8 }", &json!({"lock": 0, "a": 1})), @"`/lock` does not exist; expected `a`");
    insta::assert_snapshot!(refused("{ lock: spin_lock }", &json!({"a~b/c": 0})), @"`/a~0b~1c` does not exist; expected nothing");
}

#[test]
fn unions_take_whatever_agrees() {
    let is: Type = "union { whole: u32, parts: { low: u16, high: u16 } }".parse().unwrap();
    let bytes = [1, 0, 2, 0];
    for value in [
        json!({"whole": 0x2_0001}),
        json!({"parts": {"low": 1, "high": 2}}),
        json!({"whole": 0x2_0001, "parts": {"low": 1, "high": 2}}),
    ] {
        assert_eq!(is.encode(&value, Endian::Little).unwrap(), bytes, "{value}");
    }
}
