// SPDX-License-Identifier: Apache-2.0
//! Canonical JSON, as OLPC defined it and TUF signs it (TUF 1.0.34, section 4.1).
//!
//! Keys are sorted, there are no blanks, numbers are whole, and strings escape quotes and backslashes alone. It is not RFC
//! 8785. A text that was signed need not be canonical: what is signed is the canonical form of what it says.

use serde_json::Value;
use thiserror::Error;

use crate::json::{self, BadJson};

/// A value has no canonical form.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("canonical JSON has no fractions, and it holds {number}")]
pub struct Fraction {
    number: String,
}

/// A text has no canonical form.
#[derive(Debug, Error)]
pub enum NotCanonical {
    /// It is not JSON, or means several things.
    #[error(transparent)]
    Json(#[from] BadJson),
    /// It holds a fraction.
    #[error(transparent)]
    Fraction(#[from] Fraction),
}

/// The canonical form of a JSON text: what a signature of TUF is over.
///
/// # Errors
/// When the text is not JSON, or means several things, or holds a fraction.
pub fn canonical_json(text: &[u8]) -> Result<Vec<u8>, NotCanonical> {
    Ok(encode(&json::read(text)?)?)
}

/// The canonical form of a value.
pub(crate) fn encode(value: &Value) -> Result<Vec<u8>, Fraction> {
    let mut bytes = Vec::new();
    write(value, &mut bytes)?;
    Ok(bytes)
}

fn write(value: &Value, out: &mut Vec<u8>) -> Result<(), Fraction> {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Number(number) if number.is_f64() => return Err(Fraction { number: number.to_string() }),
        Value::Number(number) => out.extend_from_slice(number.to_string().as_bytes()),
        Value::String(text) => string(text, out),
        Value::Array(elements) => {
            out.push(b'[');
            for (at, element) in elements.iter().enumerate() {
                separate(at, out);
                write(element, out)?;
            }
            out.push(b']');
        }
        Value::Object(entries) => {
            // UTF-8 sorts as its code points do.
            let mut sorted: Vec<_> = entries.iter().collect();
            sorted.sort_by_key(|(key, _)| *key);
            out.push(b'{');
            for (at, (key, value)) in sorted.into_iter().enumerate() {
                separate(at, out);
                string(key, out);
                out.push(b':');
                write(value, out)?;
            }
            out.push(b'}');
        }
    }
    Ok(())
}

fn separate(at: usize, out: &mut Vec<u8>) {
    if at > 0 {
        out.push(b',');
    }
}

fn string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for byte in text.bytes() {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn the_form_is_that_of_securesystemslib() {
        let value = json!({"b": [1, -2, null, true, false], "a": "é\n\"\\\u{1}", "": {}, "\u{10000}": 0, "\u{ffff}": ""});
        let form = String::from_utf8(encode(&value).unwrap()).unwrap();
        assert_eq!(
            form,
            "{\"\":{},\"a\":\"é\n\\\"\\\\\u{1}\",\"b\":[1,-2,null,true,false],\"\u{ffff}\":\"\",\"\u{10000}\":0}"
        );
    }

    #[test]
    fn fractions_have_no_form() {
        insta::assert_snapshot!(encode(&json!([1.5])).unwrap_err(), @"canonical JSON has no fractions, and it holds 1.5");
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 64, 8, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
                prop::collection::btree_map(any::<String>(), inner, 0..8)
                    .prop_map(|entries| entries.into_iter().collect()),
            ]
        })
    }

    proptest! {
        #[test]
        fn different_values_have_different_forms(one in value(), other in value()) {
            prop_assert_eq!(encode(&one) == encode(&other), one == other);
        }

        #[test]
        fn the_order_of_keys_does_not_matter(entries in prop::collection::vec((any::<String>(), any::<i64>()), 0..8)) {
            let text = |entries: &mut dyn Iterator<Item = &(String, i64)>| {
                let entries = entries.map(|(key, value)| format!("{}:{value}", json!(key)));
                format!("{{{}}}", entries.collect::<Vec<_>>().join(","))
            };
            let forward: Result<Value, _> = crate::json::read(text(&mut entries.iter()).as_bytes());
            let back: Result<Value, _> = crate::json::read(text(&mut entries.iter().rev()).as_bytes());
            if let (Ok(forward), Ok(back)) = (forward, back) {
                prop_assert_eq!(encode(&forward), encode(&back));
            }
        }
    }
}
