// SPDX-License-Identifier: Apache-2.0
//! Writing a union: one of its fields or several, as long as they mean the same bytes.

use serde_json::{Map, Value};

use super::{Step, Writer, list, put_bits, shown_names};
use crate::{Endian, FaultKind, Field, Fields, Place, Shape, Type};

impl<'a> Writer<'a> {
    /// Writes the fields that an object has, and tells how many of its entries that were.
    pub(super) fn union(
        &mut self,
        fields: &'a Fields,
        object: &Map<String, Value>,
        bytes: &mut [u8],
    ) -> usize {
        let mut covered = vec![0; bytes.len()];
        let mut first: Option<&str> = None;
        let mut taken = 0;
        for field in &fields.fields {
            let Some(name) = chosen(field, object) else { continue };
            let (mut alone, mut cover) = (vec![0; bytes.len()], vec![0; bytes.len()]);
            let before = self.faults.len();
            taken += self.field(field, object, &mut alone);
            if self.faults.len() > before {
                first = first.or(Some(name));
                continue;
            }
            cover_field(field, self.endian, &mut cover);
            let differ = |at: usize| (alone[at] ^ bytes[at]) & cover[at] & covered[at] != 0;
            if let Some(first) = first
                && (0..bytes.len()).any(differ)
            {
                self.path.push(Step::Field(name));
                let given = object.get(name).map(ToString::to_string).unwrap_or_default();
                self.fault(
                    FaultKind::Contradiction,
                    given,
                    format!("the same bytes as in `{first}`, or one of the two"),
                );
                self.path.pop();
            }
            first = first.or(Some(name));
            for at in 0..bytes.len() {
                bytes[at] |= alone[at];
                covered[at] |= cover[at];
            }
        }
        if first.is_none() {
            let names = shown_names(fields);
            // A union that has nothing to be written is whole without.
            if !names.is_empty() {
                self.fault(FaultKind::Missing, String::new(), list(&names));
            }
        }
        taken
    }
}

/// The name by which an object chooses a field of a union.
fn chosen<'a>(field: &'a Field, object: &Map<String, Value>) -> Option<&'a str> {
    match (field.shown_name(), field.is.fields()) {
        (Some(name), _) => object.contains_key(name).then_some(name),
        (None, Some(inner)) => shown_names(inner).into_iter().find(|name| object.contains_key(*name)),
        (None, None) => None,
    }
}

/// Marks the bits that a field means.
fn cover_field(field: &Field, endian: Endian, marks: &mut [u8]) {
    match field.place {
        Place::Bytes { offset } => cover(&field.is, endian, &mut marks[offset..offset + field.is.bytes()]),
        Place::Bits { bit_offset, bits } => put_bits(marks, endian, (bit_offset, bits), u128::MAX),
    }
}

fn cover(is: &Type, endian: Endian, marks: &mut [u8]) {
    match is.shape() {
        Shape::Struct(fields) | Shape::Union(fields) => {
            for field in &fields.fields {
                cover_field(field, endian, marks);
            }
        }
        Shape::Array(array) => {
            for marks in marks.chunks_exact_mut(array.element.bytes().max(1)) {
                cover(&array.element, endian, marks);
            }
        }
        Shape::Kernel => {}
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
        | Shape::Prefix(_) => marks.fill(0xff),
    }
}
