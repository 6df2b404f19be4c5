// SPDX-License-Identifier: Apache-2.0
//! Numbers and truth values, as options have them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A number or a truth value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a number of 64 bits, or a truth value")]
pub enum PlainValue {
    /// True or false.
    Bool(bool),
    /// A number that fits 64 bits, signed or not.
    Integer(Number),
}

/// A number from the least of the signed to the greatest of the unsigned 64-bit ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Number(i128);

impl PlainValue {
    /// A number.
    pub fn integer(value: impl Into<i64>) -> Self {
        Self::Integer(Number(value.into().into()))
    }
}

impl Serialize for Number {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match (i64::try_from(self.0), u64::try_from(self.0)) {
            (Ok(signed), _) => serializer.serialize_i64(signed),
            (Err(_), Ok(unsigned)) => serializer.serialize_u64(unsigned),
            (Err(_), Err(_)) => Err(serde::ser::Error::custom("a number of more than 64 bits")),
        }
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either {
            Signed(i64),
            Unsigned(u64),
        }
        Ok(Self(match Either::deserialize(deserializer)? {
            Either::Signed(value) => value.into(),
            Either::Unsigned(value) => value.into(),
        }))
    }
}

impl fmt::Display for PlainValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(value) => value.fmt(f),
            Self::Integer(Number(value)) => value.fmt(f),
        }
    }
}

impl std::str::FromStr for PlainValue {
    type Err = std::num::ParseIntError;

    /// Reads `true`, `false` or a decimal number.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "true" => Ok(Self::Bool(true)),
            "false" => Ok(Self::Bool(false)),
            digits => match digits.parse::<i64>() {
                Ok(number) => Ok(Self::integer(number)),
                Err(error) => {
                    digits.parse::<u64>().map(|large| Self::Integer(Number(large.into()))).or(Err(error))
                }
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn a_value_reads_as_it_prints(value: u64) {
            let text = value.to_string();
            assert_eq!(text.parse::<PlainValue>().unwrap().to_string(), text);
            let json = serde_json::to_string(&text.parse::<PlainValue>().unwrap()).unwrap();
            assert_eq!(json, text);
        }
    }
}
