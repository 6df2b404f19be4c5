// SPDX-License-Identifier: Apache-2.0
//! JSON of which two readers never read different things.
//!
//! A key that comes twice is refused at any depth (RFC 8259, section 4, leaves its meaning open), as are depth and size
//! beyond what anything that is signed here has.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use thiserror::Error;

/// The largest text that is read.
pub const MAX_JSON_BYTES: usize = 4 * 1024 * 1024;
/// How deep arrays and objects may lie in each other.
pub const MAX_JSON_DEPTH: usize = 32;

/// A text is not JSON that is read here.
#[derive(Debug, Error)]
pub enum BadJson {
    /// There is too much of it.
    #[error("it has {bytes} bytes, more than {MAX_JSON_BYTES}")]
    TooLarge {
        /// How many.
        bytes: usize,
    },
    /// It is not JSON, or ambiguous, or too deep.
    #[error("it is not JSON, or means several things: {0}")]
    Syntax(serde_json::Error),
}

/// Reads a text.
pub(crate) fn read(bytes: &[u8]) -> Result<Value, BadJson> {
    if bytes.len() > MAX_JSON_BYTES {
        return Err(BadJson::TooLarge { bytes: bytes.len() });
    }
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = Strict { depth: 0 }.deserialize(&mut reader).map_err(BadJson::Syntax)?;
    reader.end().map_err(BadJson::Syntax)?;
    Ok(value)
}

/// Reads one value, so deep in others.
#[derive(Clone, Copy)]
struct Strict {
    depth: usize,
}

impl Strict {
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        let depth = self.depth + 1;
        if depth > MAX_JSON_DEPTH {
            return Err(E::custom(format_args!("it is more than {MAX_JSON_DEPTH} deep")));
        }
        Ok(Self { depth })
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("a number has no value"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let deeper = self.deeper()?;
        let mut array = Vec::new();
        while let Some(element) = elements.next_element_seed(deeper)? {
            array.push(element);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let deeper = self.deeper()?;
        let mut object = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            if object.contains_key(&key) {
                return Err(A::Error::custom(format_args!("the key `{}` comes twice", key.escape_debug())));
            }
            let value = entries.next_value_seed(deeper)?;
            object.insert(key, value);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        read(text.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn what_means_several_things_is_refused() {
        insta::assert_snapshot!(refused(r#"{"a":{"b":1,"b":2}}"#), @"it is not JSON, or means several things: the key `b` comes twice at line 1 column 15");
        insta::assert_snapshot!(refused(r#"{"a":1,"\u0061":2}"#), @"it is not JSON, or means several things: the key `a` comes twice at line 1 column 15");
        insta::assert_snapshot!(refused("{} {}"), @"it is not JSON, or means several things: trailing characters at line 1 column 4");
        insta::assert_snapshot!(refused(""), @"it is not JSON, or means several things: EOF while parsing a value at line 1 column 0");
    }

    #[test]
    fn what_is_too_deep_or_too_large_is_refused() {
        let deep = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(read(deep(MAX_JSON_DEPTH).as_bytes()).is_ok());
        insta::assert_snapshot!(refused(&deep(MAX_JSON_DEPTH + 1)), @"it is not JSON, or means several things: it is more than 32 deep at line 1 column 34");
        assert!(refused(&deep(100_000)).contains("it is more than 32 deep"));
        let large = vec![b' '; MAX_JSON_BYTES + 1];
        assert!(matches!(read(&large), Err(BadJson::TooLarge { .. })));
    }

    proptest::proptest! {
        #[test]
        fn what_serde_json_writes_is_read_as_it_was(text: String, number: i64, keys: std::collections::BTreeSet<String>) {
            let object: Map<String, Value> =
                keys.into_iter().map(|key| (key, serde_json::json!([text, number, null, true]))).collect();
            let value = Value::Object(object);
            proptest::prop_assert_eq!(read(value.to_string().as_bytes()).unwrap(), value);
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes: Vec<u8>) {
            drop(read(&bytes));
        }
    }
}
