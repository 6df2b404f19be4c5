// SPDX-License-Identifier: Apache-2.0
//! Values as people write them on a command line: a bare word where one will do, JSON for the rest.

use serde_json::Value;
use thiserror::Error;

use crate::{Shape, Type};

/// Text that is not even JSON, where no word will do.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{given}` is not JSON: {reason}; expected {expected}")]
pub struct NotJson {
    given: String,
    reason: String,
    expected: String,
}

impl NotJson {
    /// What is expected in its place, in words.
    pub fn expected(&self) -> &str {
        &self.expected
    }
}

impl Type {
    /// The value that a word, or JSON, stands for. Whether it fits the type is found out when it is written.
    ///
    /// A word is the text that JSON would have in quotes, or its number, `true` or `false`; names of flags have commas between
    /// them.
    ///
    /// # Errors
    /// When it is not JSON, and the type is not one of words.
    pub fn parse_text(&self, text: &str) -> Result<Value, NotJson> {
        let json = |text: &str| {
            serde_json::from_str(text).map_err(|error| NotJson {
                given: text.to_owned(),
                reason: error.to_string(),
                expected: crate::write::expected(self),
            })
        };
        // Quotes and brackets are JSON wherever they begin a value.
        let word = || if text.starts_with(['"', '[', '{']) { None } else { Some(Value::from(text)) };
        match self.shape() {
            Shape::Array(_) | Shape::Struct(_) | Shape::Union(_) | Shape::Kernel => json(text),
            Shape::Bool => Ok(match text {
                "true" => true.into(),
                "false" => false.into(),
                other => other.into(),
            }),
            Shape::Float => Ok(serde_json::from_str(text).unwrap_or_else(|_| text.into())),
            Shape::Flags(_) => word().map_or_else(
                || json(text),
                |_| Ok(text.split(',').map(str::trim).filter(|name| !name.is_empty()).collect()),
            ),
            Shape::Integer(_)
            | Shape::Enum(_)
            | Shape::Text
            | Shape::Bytes
            | Shape::Pointer
            | Shape::Ipv4
            | Shape::Ipv6
            | Shape::Ip
            | Shape::Mac
            | Shape::Prefix(_) => word().map_or_else(|| json(text), Ok),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Endian;

    #[track_caller]
    fn check(grammar: &str, text: &str, bytes: &[u8]) {
        let is: Type = grammar.parse().unwrap();
        let value = is.parse_text(text).unwrap();
        assert_eq!(is.encode(&value, Endian::Little).unwrap(), bytes, "{text} as {grammar}");
    }

    #[test]
    fn one_word_will_do_for_whatever_is_one() {
        check("u16", "443", &[0xbb, 1]);
        check("port", "443", &[1, 0xbb]);
        check("bool", "true", &[1]);
        check("f32", "1.5", &[0, 0, 0xc0, 0x3f]);
        check("enum u8 { drop = 1, pass = 2 }", "pass", &[2]);
        check("char[4]", "ab c", b"ab c");
        check("char[4]", "\"ab\"", b"ab\0\0");
        check("char[2]", "[97, 98]", b"ab");
        check("ipv4", "192.0.2.1", &[192, 0, 2, 1]);
        check("mac", "02:00:00:00:00:01", &[2, 0, 0, 0, 0, 1]);
        check("bytes[2]", "0x0102", &[1, 2]);
        check("{ a: u8, b: [u8; 2] }", r#"{"a": 1, "b": [2, 3]}"#, &[1, 2, 3]);
    }

    #[test]
    fn what_is_no_word_must_be_json() {
        let is: Type = "{ a: u8 }".parse().unwrap();
        insta::assert_snapshot!(is.parse_text("a=1").unwrap_err(), @"`a=1` is not JSON: expected value at line 1 column 1; expected an object with `a`");
    }
}
