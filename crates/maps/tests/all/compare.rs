// SPDX-License-Identifier: Apache-2.0
//! Comparing types and interfaces: what is extended can be read and written by whoever knew it before.

use maps::{Comparison, Endian, Fields, Interface, Shape, Type};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::made::{endian, types};

/// A structure without one of its fields.
fn without_field(is: &Type, which: prop::sample::Index) -> Option<Type> {
    let Shape::Struct(Fields { fields }) = is.shape() else { return None };
    let mut fewer = fields.clone();
    // What lies nowhere takes no place.
    let removed = fewer.remove(which.index(fields.len()));
    (removed.is.bytes() > 0).then(|| Type::new(Shape::Struct(Fields { fields: fewer }), is.bytes()).unwrap())
}

proptest! {
    #[test]
    fn a_type_is_the_same_as_itself(is in types()) {
        prop_assert_eq!(is.compare(&is), Comparison::Same);
    }

    #[test]
    fn a_field_more_extends_and_a_field_less_breaks(
        is in types(),
        which in any::<prop::sample::Index>(),
        endian in endian(),
        some in prop::collection::vec(any::<u8>(), 64),
    ) {
        if let Some(fewer) = without_field(&is, which) {
            prop_assert!(matches!(is.compare(&fewer), Comparison::Extended(_)));
            prop_assert!(matches!(fewer.compare(&is), Comparison::Incompatible(_)));
            let bytes: Vec<u8> = some.into_iter().cycle().take(is.bytes()).collect();
            let (old, new) = (fewer.decode(&bytes, endian).unwrap(), is.decode(&bytes, endian).unwrap());
            let kept = old.as_object().unwrap().iter().all(|(name, value)| new.get(name) == Some(value));
            prop_assert!(kept, "{} is not within {}", old, new);
        }
    }

    #[test]
    fn types_that_are_not_incompatible_read_the_same(one in types(), other in types(), thrown in prop::collection::vec(any::<u8>(), 64)) {
        if one.compare(&other) == Comparison::Same {
            let bytes: Vec<u8> = thrown.into_iter().cycle().take(one.bytes()).collect();
            prop_assert_eq!(one.decode(&bytes, Endian::Little), other.decode(&bytes, Endian::Little));
        }
    }
}

fn told(comparison: &Comparison) -> String {
    match comparison {
        Comparison::Same => "same".to_owned(),
        Comparison::Extended(difference) => format!("extended: {difference}"),
        Comparison::Incompatible(difference) => format!("incompatible: {difference}"),
    }
}

#[track_caller]
fn check(was: &str, becomes: &str) -> String {
    let [was, becomes]: [Type; 2] = [was, becomes].map(|text| text.parse().unwrap());
    told(&becomes.compare(&was))
}

#[test]
fn the_first_difference_is_told_with_its_path_and_both_sides() {
    insta::assert_snapshot!(check("u32", "u32"), @"same");
    insta::assert_snapshot!(check("u32", "i32"), @"incompatible: it was u32 and becomes i32");
    insta::assert_snapshot!(check("{ a: u8, b: u32 }", "{ a: u8, c: u8, b: u32 }"), @"extended: `c` was nothing and becomes u8");
    insta::assert_snapshot!(check("{ a: u8, b: u32 }", "{ b: u32, a: u8 }"), @"incompatible: `a` was at byte 0 and becomes at byte 4");
    insta::assert_snapshot!(check("{ a: [{ b: u16 }; 2] }", "{ a: [{ b: be16 }; 2] }"), @"incompatible: `a[].b` was u16 and becomes be16");
    insta::assert_snapshot!(check("enum u8 { a = 1 }", "enum u8 { a = 1, b = 2 }"), @"extended: it was nothing and becomes `b` for 2");
    insta::assert_snapshot!(check("enum u8 { a = 1, b = 2 }", "enum u8 { a = 2, b = 1 }"), @"incompatible: it was `a` for 1 and becomes `a` for 2");
    insta::assert_snapshot!(check("union { a: u32 }", "union { a: u32, b: f32 }"), @"extended: `b` was nothing and becomes f32");
    insta::assert_snapshot!(check("[u8; 2]", "[u8; 3]"), @"incompatible: it was [u8; 2] and becomes [u8; 3]");
}

fn map(change: &Value) -> Interface {
    let mut map = json!({
        "name": "ports", "kind": "hash", "max_entries": 64, "role": "config",
        "key": {"kind": "integer", "bytes": 2},
        "value": {"kind": "struct", "bytes": 8, "fields": [
            {"name": "rate", "offset": 0, "type": {"kind": "integer", "bytes": 4, "min": 1, "max": 100, "unit": "/s"}},
        ]},
    });
    map.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    serde_json::from_value(json!({"maps": [map]})).unwrap()
}

#[track_caller]
fn check_map(change: &Value) -> String {
    told(&map(change).compare(&map(&json!({}))))
}

#[test]
fn what_an_author_says_is_compared_too() {
    let rate = |words: Value, more: Option<Value>| {
        let mut rate = json!({"kind": "integer", "bytes": 4, "min": 1, "max": 100, "unit": "/s"});
        rate.as_object_mut().unwrap().extend(words.as_object().unwrap().clone());
        let mut fields = vec![json!({"name": "rate", "offset": 0, "type": rate})];
        fields.extend(more);
        json!({"value": {"kind": "struct", "bytes": 8, "fields": fields}})
    };
    insta::assert_snapshot!(check_map(&json!({"description": "words"})), @"same");
    insta::assert_snapshot!(check_map(&json!({"max_entries": 128})), @"extended: `ports` was a map of 64 entries and becomes a map of 128 entries");
    insta::assert_snapshot!(check_map(&json!({"max_entries": 32})), @"incompatible: `ports` was a map of 64 entries and becomes a map of 32 entries");
    insta::assert_snapshot!(check_map(&json!({"kind": "lru_hash"})), @"incompatible: `ports` was a map of kind `hash` and becomes a map of kind `lru_hash`");
    insta::assert_snapshot!(check_map(&json!({"role": "state"})), @"incompatible: `ports` was config and becomes state");
    insta::assert_snapshot!(check_map(&rate(json!({"max": 50}), None)), @"incompatible: `ports.value.rate` was at most 100 and becomes at most 50");
    insta::assert_snapshot!(check_map(&rate(json!({"max": 500}), None)), @"extended: `ports.value.rate` was at most 100 and becomes at most 500");
    insta::assert_snapshot!(check_map(&rate(json!({"unit": "/min"}), None)), @"incompatible: `ports.value.rate` was in `/s` and becomes in `/min`");
    insta::assert_snapshot!(check_map(&rate(json!({"default": 7}), None)), @"extended: `ports.value.rate` was nothing and becomes 7 where not given");
    let burst = |words: Value| {
        let mut is = json!({"kind": "integer", "bytes": 4});
        is.as_object_mut().unwrap().extend(words.as_object().unwrap().clone());
        Some(json!({"name": "burst", "offset": 4, "type": is}))
    };
    insta::assert_snapshot!(check_map(&rate(json!({}), burst(json!({"default": 1})))), @"extended: `ports.value.burst` was nothing and becomes u32");
    insta::assert_snapshot!(check_map(&rate(json!({}), burst(json!({})))), @"incompatible: `ports.value.burst` was nothing and becomes u32 without a default");
    insta::assert_snapshot!(told(&Interface::default().compare(&map(&json!({})))), @"incompatible: `ports` was a map of kind `hash` and becomes nothing");
    insta::assert_snapshot!(told(&map(&json!({})).compare(&Interface::default())), @"extended: `ports` was nothing and becomes a map of kind `hash`");
}
