// SPDX-License-Identifier: Apache-2.0
//! A type in a few words, for messages: those of the grammar, where it has some.

use std::fmt;

use super::{Family, Integer, Meaning, Order, Place, Shape, Type};

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.bytes();
        match self.shape() {
            Shape::Integer(integer) => write_integer(f, *integer, bytes),
            Shape::Bool => f.write_str("bool"),
            Shape::Float => write!(f, "f{}", bytes * 8),
            Shape::Enum(names) => write!(f, "enum of {} names in {bytes} bytes", names.names.len()),
            Shape::Flags(names) => write!(f, "flags of {} names in {bytes} bytes", names.names.len()),
            Shape::Text => write!(f, "char[{bytes}]"),
            Shape::Bytes => write!(f, "bytes[{bytes}]"),
            Shape::Pointer => f.write_str("pointer"),
            Shape::Kernel => write!(f, "{bytes} bytes of the kernel"),
            Shape::Ipv4 => f.write_str("ipv4"),
            Shape::Ipv6 => f.write_str("ipv6"),
            Shape::Ip => write!(f, "ip in {bytes} bytes"),
            Shape::Mac => f.write_str("mac"),
            Shape::Prefix(prefix) => match prefix.family {
                Family::Ipv4 => f.write_str("prefix of ipv4"),
                Family::Ipv6 => f.write_str("prefix of ipv6"),
                Family::Hex => write!(f, "prefix of {} bytes", bytes.saturating_sub(4)),
            },
            Shape::Array(array) => write!(f, "[{}; {}]", array.element, array.count),
            Shape::Struct(fields) => write!(f, "struct of {} fields in {bytes} bytes", fields.fields.len()),
            Shape::Union(fields) => write!(f, "union of {} fields in {bytes} bytes", fields.fields.len()),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes { offset } => write!(f, "byte {offset}"),
            Self::Bits { bit_offset, bits } => write!(f, "bit {bit_offset}, {bits} of them"),
        }
    }
}

fn write_integer(f: &mut fmt::Formatter<'_>, integer: Integer, bytes: usize) -> fmt::Result {
    let Integer { signed, order, meaning } = integer;
    match (order, signed) {
        (Order::Host, false) => write!(f, "u{}", bytes * 8)?,
        (Order::Host, true) => write!(f, "i{}", bytes * 8)?,
        (Order::Network, false) => write!(f, "be{}", bytes * 8)?,
        (Order::Network, true) => write!(f, "signed be{}", bytes * 8)?,
    }
    match meaning {
        Meaning::Number => Ok(()),
        Meaning::Hex => f.write_str(" in hexadecimal"),
        Meaning::Duration(unit) => write!(f, " of {}", unit.name()),
        Meaning::Unix(unit) => write!(f, " of {} since 1970", unit.name()),
        Meaning::Boot(unit) => write!(f, " of {} since the start", unit.name()),
    }
}
