// SPDX-License-Identifier: Apache-2.0
//! Writing one word: a number, a name, text, an address.

use std::net::{Ipv4Addr, Ipv6Addr};

use serde_json::Value;

use super::{Wrong, list, list_all, shown_names};
use crate::number::whole;
use crate::time::Timestamp;
use crate::unit::NotAmount;
use crate::{Endian, Family, FaultKind, Integer, Meaning, Names, Number, Order, Shape, Type, Unit, Words};
use crate::{address, float};

/// Writes a value of a type that is no structure, union or array.
pub(super) fn write(is: &Type, value: &Value, endian: Endian, bytes: &mut [u8]) -> Result<(), Wrong> {
    let text = value.as_str();
    let address = match is.shape() {
        Shape::Text => return write_text(value, bytes).ok_or_else(|| too_long(is, value)),
        Shape::Float => {
            endian.write(write_float(is, value)?.into(), bytes);
            return Ok(());
        }
        Shape::Kernel if value.is_null() => return Ok(()),
        Shape::Kernel | Shape::Array(_) | Shape::Struct(_) | Shape::Union(_) => None,
        Shape::Bytes => text.and_then(|text| address::hex(text, bytes.len())),
        Shape::Ipv4 => ipv4(text),
        Shape::Ip if bytes.len() == 4 => ipv4(text),
        Shape::Ipv6 => {
            text.and_then(|text| text.parse::<Ipv6Addr>().ok()).map(|address| address.octets().to_vec())
        }
        Shape::Ip => text.and_then(address::ip).map(|address| address.to_vec()),
        Shape::Mac => text.and_then(address::mac).map(|address| address.to_vec()),
        Shape::Prefix(prefix) => {
            text.and_then(|text| address::prefix(text, prefix.family, bytes.len(), endian))
        }
        Shape::Integer(Integer { order, .. }) => {
            let endian = if *order == Order::Network { Endian::Big } else { endian };
            endian.write(word(is, value, width(is))?, bytes);
            return Ok(());
        }
        Shape::Bool | Shape::Enum(_) | Shape::Flags(_) | Shape::Pointer => {
            endian.write(word(is, value, width(is))?, bytes);
            return Ok(());
        }
    };
    let address = address.ok_or_else(|| Wrong { kind: FaultKind::Kind, expected: expected(is) })?;
    bytes.copy_from_slice(&address);
    Ok(())
}

/// The bits of a value that is one number.
pub(super) fn word(is: &Type, value: &Value, bits: u32) -> Result<u128, Wrong> {
    let wrong = |kind| Wrong { kind, expected: expected_in(is, bits) };
    match is.shape() {
        Shape::Bool => value.as_bool().map(u128::from).ok_or_else(|| wrong(FaultKind::Kind)),
        Shape::Enum(names) => {
            let number = named(names, value).map_err(wrong)?;
            let known = names.open || names.name(number).is_some();
            let (min, max) = Number::range(bits, names.signed);
            match known {
                true if min <= number && number <= max => Ok(number.to_word()),
                true => Err(wrong(FaultKind::Range)),
                false => Err(wrong(FaultKind::Name)),
            }
        }
        Shape::Flags(names) => flags(names, value, bits).map_err(wrong),
        Shape::Pointer => within(plain(value).map_err(wrong)?, Number::range(bits, false)).map_err(wrong),
        Shape::Integer(integer) => {
            let number = integer_of(*integer, is.words(), value).map_err(wrong)?;
            within(number, limits(is.words(), bits, integer.signed)).map_err(wrong)
        }
        Shape::Float
        | Shape::Text
        | Shape::Bytes
        | Shape::Kernel
        | Shape::Ipv4
        | Shape::Ipv6
        | Shape::Ip
        | Shape::Mac
        | Shape::Prefix(_)
        | Shape::Array(_)
        | Shape::Struct(_)
        | Shape::Union(_) => Err(wrong(FaultKind::Kind)),
    }
}

fn within(number: Number, (min, max): (Number, Number)) -> Result<u128, FaultKind> {
    if min <= number && number <= max { Ok(number.to_word()) } else { Err(FaultKind::Range) }
}

fn width(is: &Type) -> u32 {
    u32::try_from(is.bytes() * 8).unwrap_or(u32::MAX)
}

fn limits(words: &Words, bits: u32, signed: bool) -> (Number, Number) {
    let (min, max) = Number::range(bits, signed);
    (words.min.map_or(min, |least| least.max(min)), words.max.map_or(max, |most| most.min(max)))
}

/// The number that a value stands for, whatever it is a number of.
pub(super) fn integer_of(integer: Integer, words: &Words, value: &Value) -> Result<Number, FaultKind> {
    let unit = match integer.meaning {
        Meaning::Duration(unit) | Meaning::Boot(unit) => Some(Unit::from(unit)),
        Meaning::Unix(unit) => {
            if let Some(time) = value.as_str().and_then(Timestamp::parse) {
                return time.whole(unit.nanoseconds()).ok_or(FaultKind::Inexact);
            }
            None
        }
        Meaning::Number | Meaning::Hex => words.unit.clone(),
    };
    let (Value::String(text), Some(unit)) = (value, unit) else { return plain(value) };
    unit.amount(text).map_err(|not| match not {
        NotAmount::Number => FaultKind::Kind,
        NotAmount::Unit => FaultKind::Unit,
        NotAmount::Inexact => FaultKind::Inexact,
        NotAmount::Range => FaultKind::Range,
    })
}

/// The number that a value stands for, where a type can hold it; else what it takes.
pub(crate) fn number_of(is: &Type, value: &Value) -> Result<Number, String> {
    let number = if let Shape::Integer(integer) = is.shape() {
        let (min, max) = Number::range(width(is), integer.signed);
        integer_of(*integer, is.words(), value).ok().filter(|number| min <= *number && *number <= max)
    } else {
        plain(value).ok()
    };
    let float = *is.shape() == Shape::Float;
    number.ok_or_else(|| if float { "a whole number".to_owned() } else { expected(is) })
}

/// A JSON number, or one as text.
fn plain(value: &Value) -> Result<Number, FaultKind> {
    match value {
        Value::Number(number) => {
            let whole_number = || whole(number.as_f64()?);
            let exact = number.as_i64().map(Number::from).or(number.as_u64().map(Number::from));
            exact.or_else(whole_number).ok_or(FaultKind::Inexact)
        }
        Value::String(text) => text.parse().ok().ok_or(FaultKind::Kind),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => Err(FaultKind::Kind),
    }
}

/// The number of a name, or a number as it is.
fn named(names: &Names, value: &Value) -> Result<Number, FaultKind> {
    let of_name = value.as_str().and_then(|name| names.number(name));
    match (of_name, value.is_string()) {
        (Some(number), _) => Ok(number),
        (None, true) => plain(value).ok().ok_or(FaultKind::Name),
        (None, false) => plain(value),
    }
}

fn flags(names: &Names, value: &Value, bits: u32) -> Result<u128, FaultKind> {
    let single;
    let values = if let Value::Array(values) = value {
        values.as_slice()
    } else {
        single = [value.clone()];
        &single
    };
    let mask = u128::MAX >> (128 - bits);
    let mut all = 0;
    for value in values {
        let of_name = value.as_str().and_then(|name| names.number(name));
        // A name of a number below zero stands for the bits that it has.
        all |= match of_name {
            Some(number) => number.to_word() & mask,
            None => within(named(names, value)?, Number::range(bits, false))?,
        };
    }
    Ok(all)
}

fn ipv4(text: Option<&str>) -> Option<Vec<u8>> {
    text.and_then(|text| text.parse::<Ipv4Addr>().ok()).map(|address| address.octets().to_vec())
}

/// Text that fits, or as many numbers as there are bytes.
fn write_text(value: &Value, bytes: &mut [u8]) -> Option<()> {
    match value {
        Value::String(text) if text.len() <= bytes.len() && !text.contains('\0') => {
            bytes[..text.len()].copy_from_slice(text.as_bytes());
            Some(())
        }
        Value::Array(values) if values.len() == bytes.len() => {
            for (byte, value) in bytes.iter_mut().zip(values) {
                *byte = value.as_u64().and_then(|value| u8::try_from(value).ok())?;
            }
            Some(())
        }
        Value::String(_)
        | Value::Array(_)
        | Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::Object(_) => None,
    }
}

fn too_long(is: &Type, value: &Value) -> Wrong {
    let long = match value {
        Value::String(text) => text.len() > is.bytes(),
        Value::Array(values) => values.len() != is.bytes(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => false,
    };
    Wrong { kind: if long { FaultKind::Length } else { FaultKind::Kind }, expected: expected(is) }
}

fn write_float(is: &Type, value: &Value) -> Result<u64, Wrong> {
    let wrong = |kind| Wrong { kind, expected: expected(is) };
    let number = match value {
        Value::Number(number) => number.as_f64().ok_or_else(|| wrong(FaultKind::Kind))?,
        Value::String(text) => {
            return float::named(text, is.bytes()).ok_or_else(|| wrong(FaultKind::Kind));
        }
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
            return Err(wrong(FaultKind::Kind));
        }
    };
    let Words { min, max, .. } = is.words();
    let low = min.is_some_and(|min| number < min.to_f64());
    let high = max.is_some_and(|max| number > max.to_f64());
    match float::nearest(number, is.bytes()) {
        Some(bits) if !low && !high => Ok(bits),
        _ => Err(wrong(FaultKind::Range)),
    }
}

/// What a type takes, in words.
pub(crate) fn expected(is: &Type) -> String {
    expected_in(is, width(is))
}

fn expected_in(is: &Type, bits: u32) -> String {
    match is.shape() {
        Shape::Integer(integer) => expected_integer(is, *integer, bits),
        Shape::Bool => "`true` or `false`".to_owned(),
        Shape::Float => match (is.words().min, is.words().max) {
            (Some(min), Some(max)) => format!("a number from {min} to {max}"),
            (Some(min), None) => format!("a number of at least {min}"),
            (None, Some(max)) => format!("a number of at most {max}"),
            (None, None) => format!(
                "a number that {} bytes hold, or `\"NaN\"`, `\"Infinity\"`, `\"-Infinity\"`",
                is.bytes()
            ),
        },
        Shape::Enum(names) if names.open => format!("{}, or a number", names_of(names)),
        Shape::Enum(names) => names_of(names),
        Shape::Flags(names) => format!("an array of {}, or of numbers of {bits} bits", names_of(names)),
        Shape::Text => {
            format!("text of at most {} bytes, or an array of as many numbers as those", is.bytes())
        }
        Shape::Bytes => format!("text of `0x` and {} hexadecimal digits", is.bytes() * 2),
        Shape::Pointer => "a number of 64 bits, such as `\"0xffff800000000000\"`".to_owned(),
        Shape::Kernel => "nothing: it belongs to the kernel".to_owned(),
        Shape::Ip if is.bytes() == 16 => {
            "an address, such as `\"192.0.2.1\"` or `\"2001:db8::1\"`".to_owned()
        }
        Shape::Ipv4 | Shape::Ip => "an address of IPv4, such as `\"192.0.2.1\"`".to_owned(),
        Shape::Ipv6 => "an address of IPv6, such as `\"2001:db8::1\"`".to_owned(),
        Shape::Mac => "an address of Ethernet, such as `\"02:00:00:00:00:01\"`".to_owned(),
        Shape::Prefix(prefix) => match prefix.family {
            Family::Ipv4 => "a prefix of IPv4, such as `\"192.0.2.0/24\"`".to_owned(),
            Family::Ipv6 => "a prefix of IPv6, such as `\"2001:db8::/32\"`".to_owned(),
            Family::Hex => {
                let bytes = is.bytes().saturating_sub(4);
                format!("text of `0x`, {} hexadecimal digits, `/` and 0 to {}", bytes * 2, bytes * 8)
            }
        },
        Shape::Array(array) => format!("an array of {} elements", array.count),
        Shape::Struct(fields) => format!("an object with {}", list_all(&shown_names(fields))),
        Shape::Union(fields) => format!("an object with {}", list(&shown_names(fields))),
    }
}

fn expected_integer(is: &Type, integer: Integer, bits: u32) -> String {
    let (min, max) = limits(is.words(), bits, integer.signed);
    let whole = format!("a whole number from {min} to {max}");
    match (integer.meaning, &is.words().unit) {
        (Meaning::Duration(unit) | Meaning::Boot(unit), _) => {
            format!("a duration, such as `\"10{0}\"`, or {whole} in {0}", unit.name())
        }
        (Meaning::Unix(unit), _) => {
            format!("a time, such as `\"2026-11-30T12:00:00Z\"`, or {whole} in {}", unit.name())
        }
        (Meaning::Number | Meaning::Hex, Some(unit)) => format!("{whole}, in `{unit}`"),
        (Meaning::Number | Meaning::Hex, None) => whole,
    }
}

/// Messages name so many; who wants all asks for the interface.
const MOST_NAMES: usize = 12;

fn names_of(names: &Names) -> String {
    let known: Vec<&str> = names.names.iter().take(MOST_NAMES).map(|(name, _)| name.as_str()).collect();
    let more = names.names.len().saturating_sub(MOST_NAMES);
    let more = if more > 0 { format!(" ({more} more)") } else { String::new() };
    format!("{}{more}", list(&known))
}
