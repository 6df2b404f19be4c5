// SPDX-License-Identifier: Apache-2.0
//! Whether a type fits together. It is the only way to one.

use std::collections::BTreeSet;

use serde::Deserialize;
use thiserror::Error;

use super::{Array, Buckets, Family, Field, Names, Place, Shape, Type, Words};
use crate::Number;

/// No map has larger values, and no section either.
const MAX_BYTES: usize = 1 << 30;
/// C has no longer bit fields.
const MAX_BITS: u32 = 64;

/// A type that does not fit together.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BadType {
    /// It has a size that it cannot have.
    #[error("{what} cannot have {bytes} bytes")]
    Size {
        /// What it is.
        what: &'static str,
        /// The size.
        bytes: usize,
    },
    /// A field lies outside.
    #[error("the field `{field}` does not lie within the {bytes} bytes of its structure")]
    Outside {
        /// The field.
        field: String,
        /// The size of the structure.
        bytes: usize,
    },
    /// Two fields share a place.
    #[error("the field `{field}` begins before the one in front of it ends")]
    Overlap {
        /// The latter of the two.
        field: String,
    },
    /// Two fields, or two numbers, have one name.
    #[error("the name `{name}` comes twice")]
    Twice {
        /// The name.
        name: String,
    },
    /// A field of bits is of a type that has none.
    #[error("the field `{field}` has {bits} bits, and a type that cannot lie in them")]
    Bits {
        /// The field.
        field: String,
        /// How many.
        bits: u32,
    },
    /// A field without a name is no structure.
    #[error("a field without a name is neither a structure nor a union")]
    Nameless,
    /// The number of a name does not fit.
    #[error("the number {number} of `{name}` does not fit")]
    Number {
        /// The name.
        name: String,
        /// The number.
        number: Number,
    },
    /// Something is said of a type that does not go with it.
    #[error("`{key}` does not go with it")]
    Words {
        /// What is said.
        key: &'static str,
    },
}

/// A type as somebody wrote it.
#[derive(Deserialize)]
pub(super) struct Unchecked {
    #[serde(flatten)]
    shape: Shape,
    bytes: usize,
    #[serde(flatten)]
    words: Words,
}

impl TryFrom<Unchecked> for Type {
    type Error = BadType;

    fn try_from(written: Unchecked) -> Result<Self, BadType> {
        Self::new(written.shape, written.bytes)?.with_words(written.words)
    }
}

impl Type {
    /// A type of a shape and a size.
    ///
    /// # Errors
    /// When it does not fit together.
    pub fn new(shape: Shape, bytes: usize) -> Result<Self, BadType> {
        if bytes > MAX_BYTES {
            return Err(BadType::Size { what: "a type", bytes });
        }
        let size = |fits: bool, what| if fits { Ok(()) } else { Err(BadType::Size { what, bytes }) };
        let whole = matches!(bytes, 1 | 2 | 4 | 8);
        match &shape {
            Shape::Integer(_) => size((1..=16).contains(&bytes), "an integer")?,
            Shape::Bool => size(whole, "a truth value")?,
            Shape::Float => size(matches!(bytes, 2 | 4 | 8), "a floating point number")?,
            Shape::Enum(names) | Shape::Flags(names) => {
                size(whole, "an enumeration")?;
                check_names(names, bytes)?;
            }
            Shape::Text | Shape::Bytes | Shape::Kernel => {}
            Shape::Pointer => size(bytes == 8, "a pointer")?,
            Shape::Ipv4 => size(bytes == 4, "an address of IPv4")?,
            Shape::Ipv6 => size(bytes == 16, "an address of IPv6")?,
            Shape::Ip => size(matches!(bytes, 4 | 16), "an address")?,
            Shape::Mac => size(bytes == 6, "an address of Ethernet")?,
            Shape::Prefix(prefix) => {
                let fits = match prefix.family {
                    Family::Ipv4 => bytes == 8,
                    Family::Ipv6 => bytes == 20,
                    Family::Hex => (5..=260).contains(&bytes),
                };
                size(fits, "a prefix")?;
            }
            Shape::Array(array) => {
                let Array { count, element } = &**array;
                let empty = element.bytes == 0 && *count > 0;
                size(!empty && element.bytes.checked_mul(*count) == Some(bytes), "an array")?;
            }
            Shape::Struct(fields) => {
                check_fields(&fields.fields, bytes)?;
                check_overlap(&fields.fields)?;
            }
            Shape::Union(fields) => check_fields(&fields.fields, bytes)?,
        }
        let made = Self { shape, bytes, words: Words::default() };
        let mut names = BTreeSet::new();
        match made.first_twice(&mut names) {
            Some(name) => Err(BadType::Twice { name: name.to_owned() }),
            None => Ok(made),
        }
    }

    /// The first name that comes twice among those that are shown beside each other.
    fn first_twice<'a>(&'a self, names: &mut BTreeSet<&'a str>) -> Option<&'a str> {
        let (Shape::Struct(inner) | Shape::Union(inner)) = &self.shape else { return None };
        inner.fields.iter().find_map(|field| match field.shown_name() {
            Some(name) => (!names.insert(name)).then_some(name),
            None => field.is.first_twice(names),
        })
    }

    /// The same type, of which something is said.
    ///
    /// # Errors
    /// When that does not go with what it is.
    pub fn with_words(self, words: Words) -> Result<Self, BadType> {
        let said = Self { words, ..self };
        check_words(&said)?;
        Ok(said)
    }
}

fn check_names(names: &Names, bytes: usize) -> Result<(), BadType> {
    let bits = u32::try_from(bytes * 8).unwrap_or(u32::MAX);
    let (min, max) = Number::range(bits, names.signed);
    let mut seen = BTreeSet::new();
    for (name, number) in &names.names {
        if !seen.insert(name) {
            return Err(BadType::Twice { name: name.clone() });
        }
        if *number < min || max < *number {
            return Err(BadType::Number { name: name.clone(), number: *number });
        }
    }
    Ok(())
}

fn check_fields(fields: &[Field], bytes: usize) -> Result<(), BadType> {
    for field in fields {
        let nested = matches!(field.is.shape, Shape::Struct(_) | Shape::Union(_));
        if field.shown_name().is_none() && !nested {
            return Err(BadType::Nameless);
        }
        if let Place::Bits { bits, .. } = field.place {
            let room = u32::try_from(field.is.bytes.min(16) * 8).unwrap_or(u32::MAX);
            let fits = field.is.is_number() && (1..=MAX_BITS.min(room)).contains(&bits);
            if !fits {
                return Err(BadType::Bits { field: field.name.clone(), bits });
            }
        }
        if field.end_bit().is_none_or(|end| end > bytes * 8) {
            return Err(BadType::Outside { field: field.name.clone(), bytes });
        }
    }
    Ok(())
}

fn check_overlap(fields: &[Field]) -> Result<(), BadType> {
    let mut placed: Vec<&Field> = fields.iter().filter(|field| field.is.bytes > 0).collect();
    placed.sort_by_key(|field| field.first_bit());
    let overlap = placed.windows(2).find(|pair| pair[0].end_bit() > pair[1].first_bit());
    match overlap {
        Some(pair) => Err(BadType::Overlap { field: pair[1].name.clone() }),
        None => Ok(()),
    }
}

/// What is said must go with what it is said of.
fn check_words(of: &Type) -> Result<(), BadType> {
    let Words { unit, min, max, label, buckets, .. } = &of.words;
    let number = of.is_measured();
    let said = [
        ("unit", unit.is_some() && !number && buckets.is_none()),
        ("min", min.is_some() && !number),
        ("max", max.is_some() && !number),
        ("label", label.is_some() && !of.is_scalar()),
        ("buckets", buckets.as_ref().is_some_and(|buckets| !counts(of, buckets))),
    ];
    match said.into_iter().find(|(_, wrong)| *wrong) {
        Some((key, _)) => Err(BadType::Words { key }),
        None => Ok(()),
    }
}

/// Whether a type is one of counts, as many as there are buckets.
fn counts(of: &Type, buckets: &Buckets) -> bool {
    let Shape::Array(array) = &of.shape else { return false };
    let enough = match buckets {
        Buckets::Rule(_) => true,
        Buckets::Bounds(bounds) => {
            bounds.len() + 1 == array.count && bounds.is_sorted_by(|one, other| one < other)
        }
    };
    enough && matches!(array.element.shape, Shape::Integer(_))
}

impl Type {
    /// Whether it is read as one number, and so can lie in bits.
    pub(crate) fn is_number(&self) -> bool {
        matches!(self.shape, Shape::Integer(_) | Shape::Bool | Shape::Enum(_) | Shape::Flags(_))
    }
}

impl Field {
    /// Where it begins, in bits.
    pub(crate) fn first_bit(&self) -> Option<usize> {
        match self.place {
            Place::Bytes { offset } => offset.checked_mul(8),
            Place::Bits { bit_offset, .. } => Some(bit_offset),
        }
    }

    /// Where it ends, in bits.
    pub(crate) fn end_bit(&self) -> Option<usize> {
        match self.place {
            Place::Bytes { offset } => offset.checked_add(self.is.bytes)?.checked_mul(8),
            Place::Bits { bit_offset, bits } => bit_offset.checked_add(usize::try_from(bits).ok()?),
        }
    }
}
