// SPDX-License-Identifier: Apache-2.0
//! A value as it lies in memory, to be written as JSON.
//!
//! It is written straight to where it goes, be that text or a `Value`, so that streams of events take no memory.

use std::net::{Ipv4Addr, Ipv6Addr};

use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};
use serde_json::Value;
use thiserror::Error;

use crate::address::{Hex, Mac, PrefixText};
use crate::float::{self, Shown};
use crate::time::Timestamp;
use crate::unit::Duration;
use crate::{Endian, Field, Fields, Integer, Meaning, Names, Number, Order, Place, Shape, Type};

/// A value of a type, which is bytes that are as many as it has.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    is: &'a Type,
    bytes: &'a [u8],
    endian: Endian,
    /// Where it lies in the bytes, if it does not take them all: the first bit, and how many.
    bits: Option<(usize, u32)>,
}

/// Bytes that are no value of a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a value has {wanted} bytes, not {found}")]
pub struct WrongSize {
    /// How many it has.
    pub wanted: usize,
    /// How many there are.
    pub found: usize,
}

impl Type {
    /// Bytes as a value of this type.
    ///
    /// # Errors
    /// When they are not as many as the type has.
    pub fn view<'a>(&'a self, bytes: &'a [u8], endian: Endian) -> Result<View<'a>, WrongSize> {
        if bytes.len() == self.bytes() {
            Ok(View { is: self, bytes, endian, bits: None })
        } else {
            Err(WrongSize { wanted: self.bytes(), found: bytes.len() })
        }
    }

    /// The value that bytes begin with: buffers of events hand over more than they were given, to fill up.
    ///
    /// # Errors
    /// When there are fewer than the type has.
    pub fn view_first<'a>(&'a self, bytes: &'a [u8], endian: Endian) -> Result<View<'a>, WrongSize> {
        self.view(bytes.get(..self.bytes()).unwrap_or(bytes), endian)
    }

    /// Bytes as JSON.
    ///
    /// # Errors
    /// When they are not as many as the type has.
    pub fn decode(&self, bytes: &[u8], endian: Endian) -> Result<Value, WrongSize> {
        let view = self.view(bytes, endian)?;
        Ok(serde_json::to_value(view).expect("a value of a type is one of JSON: its names are text"))
    }
}

impl Serialize for View<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.is.shape() {
            Shape::Integer(integer) => self.integer(*integer, to),
            Shape::Bool => match self.word() {
                0 => to.serialize_bool(false),
                1 => to.serialize_bool(true),
                _ => self.number(false).serialize(to),
            },
            Shape::Float => self.float(to),
            Shape::Enum(names) => {
                let number = self.number(names.signed);
                match names.name(number) {
                    Some(name) => to.serialize_str(name),
                    None => number.serialize(to),
                }
            }
            Shape::Flags(names) => self.flags(names, to),
            Shape::Text => self.text(to),
            Shape::Bytes => to.collect_str(&Hex(self.bytes)),
            Shape::Pointer => to.collect_str(&format_args!("{:#x}", self.word())),
            Shape::Kernel => to.serialize_unit(),
            Shape::Ipv4 => to.collect_str(&Ipv4Addr::from(self.chunk::<4>())),
            Shape::Ipv6 => to.collect_str(&Ipv6Addr::from(self.chunk::<16>())),
            Shape::Ip => self.ip(to),
            Shape::Mac => to.collect_str(&Mac(self.chunk())),
            Shape::Prefix(prefix) => {
                to.collect_str(&PrefixText { bytes: self.bytes, family: prefix.family, endian: self.endian })
            }
            Shape::Array(array) => {
                let elements = self.bytes.chunks_exact(array.element.bytes().max(1));
                to.collect_seq(elements.map(|bytes| View { is: &array.element, bytes, ..*self }))
            }
            Shape::Struct(fields) | Shape::Union(fields) => {
                let mut map = to.serialize_map(None)?;
                self.fields(fields, &mut map)?;
                map.end()
            }
        }
    }
}

impl<'a> View<'a> {
    /// What lies at a field.
    fn field(&self, field: &'a Field) -> View<'a> {
        match field.place {
            Place::Bytes { offset } => {
                View { is: &field.is, bytes: &self.bytes[offset..offset + field.is.bytes()], ..*self }
            }
            Place::Bits { bit_offset, bits } => {
                View { is: &field.is, bits: Some((bit_offset, bits)), ..*self }
            }
        }
    }

    /// What belongs to the kernel is not shown. Fields without a name have theirs in place of themselves.
    fn fields<M: SerializeMap>(&self, fields: &'a Fields, map: &mut M) -> Result<(), M::Error> {
        for field in &fields.fields {
            let view = self.field(field);
            match (field.shown_name(), field.is.fields()) {
                (Some(name), _) if !field.is.is_kernel() => map.serialize_entry(name, &view)?,
                (None, Some(inner)) => view.fields(inner, map)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn width(&self) -> u32 {
        let whole = || u32::try_from(self.is.bytes() * 8).unwrap_or(u32::MAX);
        self.bits.map_or_else(whole, |(_, bits)| bits)
    }

    /// The bits of a number.
    fn word(&self) -> u128 {
        let network = matches!(self.is.shape(), Shape::Integer(Integer { order: Order::Network, .. }));
        let order = if network { Endian::Big } else { self.endian };
        match self.bits {
            None => order.read(self.bytes),
            Some((start, bits)) => bits_at(self.bytes, self.endian, start, bits),
        }
    }

    fn number(&self, signed: bool) -> Number {
        Number::of_bits(self.word(), self.width(), signed)
    }

    fn chunk<const N: usize>(&self) -> [u8; N] {
        *self.bytes.first_chunk().expect("the size of an address was checked when its type was made")
    }

    fn integer<S: Serializer>(&self, integer: Integer, to: S) -> Result<S::Ok, S::Error> {
        let number = self.number(integer.signed);
        match integer.meaning {
            Meaning::Number => number.serialize(to),
            Meaning::Hex => {
                let sign = if number.is_negative() { "-" } else { "" };
                to.collect_str(&format_args!("{sign}{:#x}", number.magnitude()))
            }
            Meaning::Duration(unit) | Meaning::Boot(unit) => to.collect_str(&Duration(number, unit)),
            Meaning::Unix(unit) => match Timestamp::of(number, unit.nanoseconds()) {
                Some(time) => to.collect_str(&time),
                None => number.serialize(to),
            },
        }
    }

    fn float<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let bits = u64::try_from(self.word()).expect("its size was checked when its type was made");
        match float::show(bits, self.is.bytes()) {
            Shown::Number(number) => to.serialize_f64(number),
            other @ (Shown::Infinity { .. } | Shown::NotANumber | Shown::Payload(_)) => {
                to.collect_str(&other)
            }
        }
    }

    /// Names whose bits are all there and were not told yet, then the number of those that no name has.
    fn flags<S: Serializer>(&self, names: &Names, to: S) -> Result<S::Ok, S::Error> {
        let all = self.word();
        let mask = u128::MAX >> (128 - self.width());
        let mut left = all;
        let mut told = to.serialize_seq(None)?;
        for (name, number) in &names.names {
            let bits = number.to_word() & mask;
            if all & bits == bits && left & bits != 0 {
                told.serialize_element(name)?;
                left &= !bits;
            }
        }
        if left != 0 {
            told.serialize_element(&Number::of_bits(left, 128, false))?;
        }
        told.end()
    }

    /// Text, unless something is behind its end or it is none.
    fn text<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let end = self.bytes.iter().position(|byte| *byte == 0).unwrap_or(self.bytes.len());
        let (text, rest) = self.bytes.split_at(end);
        match str::from_utf8(text) {
            Ok(text) if rest.iter().all(|byte| *byte == 0) => to.serialize_str(text),
            _ => to.collect_seq(self.bytes),
        }
    }

    fn ip<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        if self.bytes.len() == 4 {
            return to.collect_str(&Ipv4Addr::from(self.chunk::<4>()));
        }
        let long = Ipv6Addr::from(self.chunk::<16>());
        match long.to_ipv4_mapped() {
            Some(short) => to.collect_str(&short),
            None => to.collect_str(&long),
        }
    }
}

/// The bytes that bits lie in, and how far the last of them is from the lowest.
pub(crate) fn around(endian: Endian, start: usize, bits: u32) -> (std::ops::Range<usize>, u32) {
    let end = start + bits as usize;
    let bytes = start / 8..end.div_ceil(8);
    let shift = match endian {
        Endian::Little => start % 8,
        Endian::Big => end.div_ceil(8) * 8 - end,
    };
    (bytes, u32::try_from(shift).expect("it is less than eight"))
}

fn bits_at(bytes: &[u8], endian: Endian, start: usize, bits: u32) -> u128 {
    let (range, shift) = around(endian, start, bits);
    endian.read(&bytes[range]) >> shift & (u128::MAX >> (128 - bits))
}
