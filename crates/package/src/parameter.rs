// SPDX-License-Identifier: Apache-2.0
//! Parameters: the constants of an object that may be given another value before it is loaded.
//!
//! An author writes `const volatile __u32 limit = 100;`. The compiler puts the value into `.rodata` and describes it in
//! BTF; the kernel then treats it as a constant, so that a parameter costs nothing per packet.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::Endian;

/// A constant that may be given another value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// The name of the variable.
    pub name: String,
    /// Its width: 1, 2, 4 or 8.
    pub bytes: usize,
    /// Whether it can be negative.
    pub signed: bool,
    /// Whether it is true or false.
    pub boolean: bool,
    /// Where it lies in the object's constants, in bytes.
    pub offset_bytes: usize,
    /// The value it has when none is given.
    pub default: ParameterValue,
}

/// A value of a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a number of 64 bits, or a truth value")]
pub enum ParameterValue {
    /// True or false.
    Bool(bool),
    /// A number that fits 64 bits, signed or not.
    Integer(Number),
}

/// A number from the least of the signed to the greatest of the unsigned 64-bit ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Number(i128);

/// A value does not fit a parameter.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BadParameter {
    /// A number for a truth value, or the other way round.
    #[error("`{name}` takes {wanted}, not `{given}`")]
    Kind {
        /// The parameter.
        name: String,
        /// What it takes.
        wanted: &'static str,
        /// What was given.
        given: ParameterValue,
    },
    /// The number is outside of what the variable can hold.
    #[error("`{name}` takes {min} to {max}, not `{given}`")]
    Range {
        /// The parameter.
        name: String,
        /// The least number.
        min: i128,
        /// The greatest number.
        max: i128,
        /// What was given.
        given: ParameterValue,
    },
}

impl ParameterValue {
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

impl fmt::Display for ParameterValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(value) => value.fmt(f),
            Self::Integer(Number(value)) => value.fmt(f),
        }
    }
}

impl std::str::FromStr for ParameterValue {
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

impl Parameter {
    /// Whether the variable can hold the value.
    ///
    /// # Errors
    /// When it cannot.
    pub fn check(&self, value: &ParameterValue) -> Result<(), BadParameter> {
        let kind = |wanted| BadParameter::Kind { name: self.name.clone(), wanted, given: *value };
        match (value, self.boolean) {
            (ParameterValue::Bool(_), true) => Ok(()),
            (ParameterValue::Bool(_), false) => Err(kind("a number")),
            (ParameterValue::Integer(_), true) => Err(kind("`true` or `false`")),
            (ParameterValue::Integer(Number(number)), false) => {
                let (min, max) = self.range();
                if (min..=max).contains(number) {
                    Ok(())
                } else {
                    Err(BadParameter::Range { name: self.name.clone(), min, max, given: *value })
                }
            }
        }
    }

    /// The bytes of the value as the variable holds it, in the object's byte order.
    ///
    /// # Errors
    /// When the variable cannot hold it.
    pub fn encode(&self, value: &ParameterValue, endian: Endian) -> Result<Vec<u8>, BadParameter> {
        self.check(value)?;
        let number = match value {
            ParameterValue::Bool(value) => i128::from(*value),
            ParameterValue::Integer(Number(number)) => *number,
        };
        let wide = number.to_le_bytes();
        let mut bytes = wide[..self.bytes].to_vec();
        if endian == Endian::Big {
            bytes.reverse();
        }
        Ok(bytes)
    }

    /// Reads the value that the variable holds in these bytes, which are as many as it is wide.
    pub(crate) fn decode(bytes: &[u8], signed: bool, boolean: bool, endian: Endian) -> ParameterValue {
        let mut little = bytes.to_vec();
        if endian == Endian::Big {
            little.reverse();
        }
        let negative = signed && little.last().is_some_and(|byte| byte & 0x80 != 0);
        let mut wide = [if negative { 0xff } else { 0 }; 16];
        wide[..little.len()].copy_from_slice(&little);
        let number = i128::from_le_bytes(wide);
        if boolean { ParameterValue::Bool(number != 0) } else { ParameterValue::Integer(Number(number)) }
    }

    fn range(&self) -> (i128, i128) {
        let bits = u32::try_from(self.bytes * 8).expect("a parameter is at most eight bytes wide");
        if self.signed { (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) } else { (0, (1 << bits) - 1) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameter(bytes: usize, signed: bool) -> Parameter {
        let default = ParameterValue::integer(0);
        Parameter { name: "limit".to_owned(), bytes, signed, boolean: false, offset_bytes: 0, default }
    }

    #[test]
    fn a_value_that_does_not_fit_is_told_what_fits() {
        let byte = parameter(1, false);
        insta::assert_snapshot!(byte.check(&ParameterValue::integer(256)).unwrap_err(), @"`limit` takes 0 to 255, not `256`");
        insta::assert_snapshot!(byte.check(&ParameterValue::Bool(true)).unwrap_err(), @"`limit` takes a number, not `true`");
        assert_eq!(parameter(8, true).range(), (i64::MIN.into(), i64::MAX.into()));
        assert_eq!(parameter(8, false).range(), (0, u64::MAX.into()));
    }

    proptest::proptest! {
        #[test]
        fn what_is_encoded_is_decoded(value: i64, big: bool) {
            let endian = if big { Endian::Big } else { Endian::Little };
            let parameter = parameter(8, true);
            let bytes = parameter.encode(&ParameterValue::integer(value), endian).unwrap();
            assert_eq!(Parameter::decode(&bytes, true, false, endian), ParameterValue::integer(value));
        }

        #[test]
        fn a_value_reads_as_it_prints(value: u64) {
            let text = value.to_string();
            assert_eq!(text.parse::<ParameterValue>().unwrap().to_string(), text);
            let json = serde_json::to_string(&text.parse::<ParameterValue>().unwrap()).unwrap();
            assert_eq!(json, text);
        }
    }
}
