// SPDX-License-Identifier: Apache-2.0
//! What a key or a value is: a tree that holds all it takes to read and write it, and nothing of the object it came from.
//!
//! A type that exists fits together: every part lies within the whole, no two fields share a place or a name. So whoever
//! reads or writes need not look again.

mod btf;
mod check;
mod grammar;
mod told;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Number;
use crate::unit::{TimeUnit, Unit};

pub use btf::Unclear;
pub use check::BadType;
pub use grammar::BadGrammar;

/// A type: what it is, where it lies, and what its author says of it. In JSON it is the notation of the specification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "check::Unchecked")]
pub struct Type {
    #[serde(flatten)]
    shape: Shape,
    bytes: usize,
    #[serde(flatten)]
    words: Words,
}

/// What a type is, and with that how a value of it is written in JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Shape {
    /// A whole number of 1 to 16 bytes.
    Integer(Integer),
    /// True or false.
    Bool,
    /// A floating point number of 2, 4 or 8 bytes (IEEE 754).
    Float,
    /// One of several names.
    Enum(Names),
    /// Any of several names, each a bit or some bits.
    Flags(Names),
    /// Characters in UTF-8, filled up with zeros.
    Text,
    /// Bytes of which nothing is known, in hexadecimal.
    Bytes,
    /// An address in memory, in hexadecimal.
    Pointer,
    /// What belongs to the kernel (`struct bpf_spin_lock`): never shown, and zero for whoever writes.
    Kernel,
    /// An address of IPv4, in network order.
    Ipv4,
    /// An address of IPv6.
    Ipv6,
    /// An address of IPv4, or one of IPv6 that may stand for one of IPv4 (RFC 4291, section 2.5.5.2).
    Ip,
    /// An address of Ethernet.
    Mac,
    /// A prefix as the keys of a trie hold it: its length in bits as 32 bits, and then its bytes.
    Prefix(Prefix),
    /// Several of one type.
    Array(Box<Array>),
    /// Several fields behind each other.
    Struct(Fields),
    /// Several fields in one place.
    Union(Fields),
}

/// A whole number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Integer {
    /// Whether it can be negative.
    #[serde(default, skip_serializing_if = "is_default")]
    pub signed: bool,
    /// In which order its bytes are.
    #[serde(default, skip_serializing_if = "is_default")]
    pub order: Order,
    /// What it stands for.
    #[serde(default, skip_serializing_if = "is_default")]
    pub meaning: Meaning,
}

/// The order of the bytes of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// That of the machine.
    #[default]
    Host,
    /// The greatest first, as in packets.
    Network,
}

/// What a whole number stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Meaning {
    /// Itself.
    #[default]
    Number,
    /// Itself, in hexadecimal.
    Hex,
    /// A time between two others.
    Duration(TimeUnit),
    /// A time since 1970 began (`CLOCK_REALTIME`).
    Unix(TimeUnit),
    /// A time since the machine started (`CLOCK_MONOTONIC`, `CLOCK_BOOTTIME`).
    Boot(TimeUnit),
}

/// Names of numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Names {
    /// The names in the order of their declaration. Where several stand for one number, the first is shown.
    pub names: Vec<(String, Number)>,
    /// Whether the numbers can be negative.
    #[serde(default, skip_serializing_if = "is_default")]
    pub signed: bool,
    /// Whether numbers without a name may be written.
    #[serde(default, skip_serializing_if = "is_default")]
    pub open: bool,
}

/// A prefix of so many bytes behind its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prefix {
    /// What it is a prefix of.
    pub family: Family,
}

/// What a prefix is one of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// Addresses of IPv4.
    Ipv4,
    /// Addresses of IPv6.
    Ipv6,
    /// Bytes.
    Hex,
}

/// Several of one type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Array {
    /// How many.
    pub count: usize,
    /// Of what.
    pub element: Type,
}

/// The fields of a structure or union.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fields {
    /// In the order of their declaration.
    pub fields: Vec<Field>,
}

/// A field of a structure or union.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    /// Its name in the source. One without, a structure or union, has its fields shown in place of itself.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The name that people are shown, where it is another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shown: Option<String>,
    /// Where it lies.
    #[serde(flatten)]
    pub place: Place,
    /// What it is.
    #[serde(rename = "type")]
    pub is: Type,
}

/// Where a field lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Place {
    /// At whole bytes.
    Bytes {
        /// Where it begins.
        offset: usize,
    },
    /// At bits, counted from the lowest of the first byte where the lowest byte comes first, else from its highest.
    Bits {
        /// Where it begins.
        bit_offset: usize,
        /// How many it has: 1 to 64.
        bits: u32,
    },
}

/// What an author says of a type beyond what it is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Words {
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What one of it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<Unit>,
    /// The least number that may be written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<Number>,
    /// The greatest number that may be written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<Number>,
    /// What is written where nothing is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<Value>,
    /// The name of the label of metrics whose values it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// What the elements of an array of counts count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub buckets: Option<Buckets>,
}

/// The buckets of a histogram.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Buckets {
    /// Bucket 0 counts what is 0 or 1, and bucket *n* what is from 2^n to 2^(n+1) - 1, as the histograms of bcc do.
    Rule(BucketRule),
    /// Bucket *n* counts what is greater than bound *n*-1 and not greater than bound *n*, the last one all that is greater
    /// than every bound.
    Bounds(Vec<Number>),
}

/// A rule that buckets follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BucketRule {
    /// Powers of two.
    Log2,
}

pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Type {
    /// A type of which nothing but its size is known.
    pub fn opaque(bytes: usize) -> Self {
        Self { shape: Shape::Bytes, bytes, words: Words::default() }
    }

    /// What it is.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Its size.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// What its author says of it.
    pub fn words(&self) -> &Words {
        &self.words
    }

    /// Whether a value of it is one word: not a structure, union or array.
    pub fn is_scalar(&self) -> bool {
        !matches!(self.shape, Shape::Array(_) | Shape::Struct(_) | Shape::Union(_))
    }

    /// Whether a number of it has a unit and bounds.
    pub(crate) fn is_measured(&self) -> bool {
        matches!(self.shape, Shape::Integer(_) | Shape::Float)
    }

    /// Its fields, where it is a structure or a union.
    pub fn fields(&self) -> Option<&Fields> {
        if let Shape::Struct(fields) | Shape::Union(fields) = &self.shape { Some(fields) } else { None }
    }

    /// Whether it belongs to the kernel.
    pub fn is_kernel(&self) -> bool {
        self.shape == Shape::Kernel
    }
}

impl Field {
    /// The name that people are shown; none for one whose fields stand in its place.
    pub fn shown_name(&self) -> Option<&str> {
        self.shown.as_deref().or((!self.name.is_empty()).then_some(self.name.as_str()))
    }
}

impl Names {
    /// The name of a number.
    pub fn name(&self, number: Number) -> Option<&str> {
        self.names.iter().find(|(_, known)| *known == number).map(|(name, _)| name.as_str())
    }

    /// The number of a name.
    pub fn number(&self, name: &str) -> Option<Number> {
        self.names.iter().find(|(known, _)| known == name).map(|(_, number)| *number)
    }
}

#[cfg(test)]
mod tests;
