// SPDX-License-Identifier: Apache-2.0
//! Formats: how a value is written where its type does not say it. Each takes some types and makes others of them.

use crate::interface::is_length_first;
use crate::unit::{TimeUnit, Unit};
use crate::{
    Array, Btf, BucketRule, Buckets, Clock, Family, FieldNotes, Format, Integer, Meaning, Names, NamesFrom,
    Number, Order, Prefix, Problem, Shape, Type, Words,
};

/// The type that a format makes of another one, and the unit that is left to be said.
pub(crate) fn formatted(
    is: Type,
    notes: &FieldNotes,
    btf: Option<&Btf<'_>>,
) -> Result<(Type, Option<Unit>), Problem> {
    let unit = notes.unit.clone();
    for (key, of, wrong) in misplaced(notes) {
        if wrong {
            return Err(Problem::Key { key, of, is: "of another format".to_owned() });
        }
    }
    let is = named(is, notes, btf)?;
    let Some(format) = notes.format else { return Ok((is, unit)) };
    if matches!(format, Format::Duration | Format::Time) {
        return Ok((timed(&is, format, notes)?, None));
    }
    let refuse = |takes| Err(Problem::Format { format, takes, is: is.to_string() });
    let bytes = is.bytes();
    let shape = match (format, is.shape()) {
        (Format::Hex, Shape::Integer(integer)) => {
            Shape::Integer(Integer { meaning: Meaning::Hex, ..*integer })
        }
        (Format::Hex, Shape::Prefix(_)) => Shape::Prefix(Prefix { family: Family::Hex }),
        (Format::Hex | Format::Bytes, _) if is.is_plain() => Shape::Bytes,
        (Format::Hex | Format::Bytes, _) => return refuse("whatever has nothing of the kernel in it"),
        (Format::Ipv4, _) if bytes == 4 && is.is_plain() => Shape::Ipv4,
        (Format::Ipv4, _) => return refuse("4 bytes"),
        (Format::Ipv6, _) if bytes == 16 && is.is_plain() => Shape::Ipv6,
        (Format::Ipv6, _) => return refuse("16 bytes"),
        (Format::Ip, _) if matches!(bytes, 4 | 16) && is.is_plain() => Shape::Ip,
        (Format::Ip, _) => return refuse("4 or 16 bytes"),
        (Format::Mac, _) if bytes == 6 && is.is_plain() => Shape::Mac,
        (Format::Mac, _) => return refuse("6 bytes"),
        (Format::Port, Shape::Integer(integer)) if bytes == 2 && !integer.signed => {
            in_network_order(*integer)
        }
        (Format::Port, _) => return refuse("a number of 2 bytes without a sign"),
        (Format::Be, Shape::Integer(integer)) => in_network_order(*integer),
        (Format::Prefix, Shape::Prefix(_)) => is.shape().clone(),
        (Format::Prefix, _) => match prefix(&is) {
            Some(shape) => shape,
            None => return refuse("a length of 32 bits with bytes behind it"),
        },
        (Format::Text, Shape::Text | Shape::Bytes) => Shape::Text,
        (Format::Text, Shape::Array(array)) if is_byte(&array.element) => Shape::Text,
        (Format::Text, _) => return refuse("an array of single bytes"),
        (Format::Flags, Shape::Enum(names) | Shape::Flags(names)) => Shape::Flags(names.clone()),
        (Format::Flags, _) => return refuse("an enumeration, or a number with `names`"),
        (Format::Histogram, Shape::Array(array)) if matches!(array.element.shape(), Shape::Integer(_)) => {
            return Ok((with_buckets(is.clone(), array.count, notes)?, unit));
        }
        (Format::Histogram, _) => return refuse("an array of whole numbers"),
        (Format::Be | Format::Duration | Format::Time, _) => return refuse("a whole number"),
    };
    Ok((Type::new(shape, bytes)?, unit))
}

/// Keys that go with one format only.
fn misplaced(notes: &FieldNotes) -> [(&'static str, &'static str, bool); 2] {
    [
        ("clock", "the format `time`", notes.clock.is_some() && notes.format != Some(Format::Time)),
        (
            "buckets",
            "the format `histogram`",
            notes.buckets.is_some() && notes.format != Some(Format::Histogram),
        ),
    ]
}

fn in_network_order(integer: Integer) -> Shape {
    Shape::Integer(Integer { order: Order::Network, ..integer })
}

fn is_byte(is: &Type) -> bool {
    is.bytes() == 1 && matches!(is.shape(), Shape::Integer(_))
}

/// A number of a unit of time.
fn timed(is: &Type, format: Format, notes: &FieldNotes) -> Result<Type, Problem> {
    let Shape::Integer(integer) = *is.shape() else {
        return Err(Problem::Format { format, takes: "a whole number", is: is.to_string() });
    };
    let unit = notes.unit.as_ref().map_or(Some(TimeUnit::Ns), |unit| TimeUnit::named(&unit.to_string()));
    let Some(unit) = unit else {
        let of = "times one of `ns`, `us`, `ms`, `s`, `min`, `h`";
        return Err(Problem::Key { key: "unit", of, is: "one of something else".to_owned() });
    };
    let meaning = match (format, notes.clock) {
        (Format::Time, Some(Clock::Monotonic | Clock::Boot)) => Meaning::Boot(unit),
        (Format::Time, Some(Clock::Unix)) => Meaning::Unix(unit),
        (Format::Time, None) => return Err(Problem::NoClock),
        _ => Meaning::Duration(unit),
    };
    Ok(Type::new(Shape::Integer(Integer { meaning, ..integer }), is.bytes())?)
}

/// Names for the numbers of a number, or for more of those of an enumeration.
fn named(is: Type, notes: &FieldNotes, btf: Option<&Btf<'_>>) -> Result<Type, Problem> {
    let (bytes, shape) = (is.bytes(), is.shape().clone());
    let shape = match (&notes.names, shape) {
        (Some(from), Shape::Integer(Integer { signed, order: Order::Host, meaning: Meaning::Number })) => {
            Shape::Enum(Names { names: names(from, btf)?, signed, open: notes.open })
        }
        (Some(_), _) => return Err(Problem::Key { key: "names", of: "whole numbers", is: is.to_string() }),
        (None, Shape::Enum(known)) => Shape::Enum(Names { open: notes.open, ..known }),
        (None, _) if notes.open => {
            return Err(Problem::Key { key: "open", of: "numbers with names", is: is.to_string() });
        }
        (None, _) => return Ok(is),
    };
    Ok(Type::new(shape, bytes)?)
}

/// Names of a table have no order, so they go by their numbers.
fn names(from: &NamesFrom, btf: Option<&Btf<'_>>) -> Result<Vec<(String, Number)>, Problem> {
    match from {
        NamesFrom::Table(table) => {
            let mut names: Vec<(String, Number)> =
                table.iter().map(|(name, number)| (name.clone(), *number)).collect();
            names.sort_by_key(|(_, number)| *number);
            Ok(names)
        }
        NamesFrom::Enum(name) => {
            let found = btf.and_then(|btf| Type::named(btf, name)).and_then(Result::ok);
            match found.as_ref().map(Type::shape) {
                Some(Shape::Enum(names)) => Ok(names.names.clone()),
                _ => Err(Problem::NoEnum { name: name.clone() }),
            }
        }
    }
}

fn prefix(is: &Type) -> Option<Shape> {
    let of_fields = || matches!(is.shape(), Shape::Struct(fields) if is_length_first(fields));
    let fits = *is.shape() == Shape::Bytes || of_fields();
    let family = match is.bytes() {
        8 => Family::Ipv4,
        20 => Family::Ipv6,
        _ => Family::Hex,
    };
    (fits && is.bytes() > 4).then_some(Shape::Prefix(Prefix { family }))
}

fn with_buckets(is: Type, count: usize, notes: &FieldNotes) -> Result<Type, Problem> {
    let words = Words { buckets: Some(buckets(notes, count)?), ..is.words().clone() };
    Ok(is.with_words(words)?)
}

/// The buckets that so many counts are of. Of powers of two, no number has more than 64.
pub(crate) fn buckets(notes: &FieldNotes, count: usize) -> Result<Buckets, Problem> {
    let buckets = notes.buckets.clone().unwrap_or(Buckets::Rule(BucketRule::Log2));
    let refused = |of, is| Err(Problem::Key { key: "buckets", of, is });
    match &buckets {
        Buckets::Rule(BucketRule::Log2) if count > 64 => {
            refused("at most 64 powers of two", format!("{count} of them"))
        }
        Buckets::Bounds(bounds) if bounds.len() + 1 != count => {
            let is = format!("{count} with {} bounds", bounds.len());
            refused("arrays of one element more than bounds", is)
        }
        Buckets::Bounds(bounds) if !bounds.is_sorted_by(|one, next| one < next) => {
            refused("bounds that ascend", "others".to_owned())
        }
        Buckets::Rule(_) | Buckets::Bounds(_) => Ok(buckets),
    }
}

impl Type {
    /// Whether it is nothing but bytes to be shown: nothing in it belongs to the kernel.
    fn is_plain(&self) -> bool {
        match self.shape() {
            Shape::Kernel => false,
            Shape::Array(array) => {
                let Array { element, .. } = &**array;
                element.is_plain()
            }
            Shape::Struct(fields) | Shape::Union(fields) => {
                fields.fields.iter().all(|field| field.is.is_plain())
            }
            Shape::Integer(_)
            | Shape::Bool
            | Shape::Float
            | Shape::Enum(_)
            | Shape::Flags(_)
            | Shape::Text
            | Shape::Bytes
            | Shape::Pointer
            | Shape::Ipv4
            | Shape::Ipv6
            | Shape::Ip
            | Shape::Mac
            | Shape::Prefix(_) => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_as_many_as_counts_and_ascend() {
        let made = |bounds: Option<&[i64]>, count| {
            let bounds = bounds.map(|bounds| serde_json::from_value(serde_json::json!(bounds)).unwrap());
            buckets(&FieldNotes { buckets: bounds, ..FieldNotes::default() }, count).is_ok()
        };
        assert!(made(None, 64) && !made(None, 65));
        assert!(made(Some(&[1, 10]), 3) && !made(Some(&[1, 10]), 2) && !made(Some(&[1, 10]), 4));
        assert!(!made(Some(&[10, 1]), 3) && !made(Some(&[1, 1]), 3));
    }
}
