// SPDX-License-Identifier: Apache-2.0
//! From JSON to the bytes of a value. All that is wrong is told at once, and nothing is written then.

mod scalar;
mod union;

pub(crate) use scalar::{expected, number_of};

use serde_json::{Map, Value};

use crate::per_cpu::STRIDE_BYTES;
use crate::view::around;
use crate::{Array, Endian, Fault, FaultKind, Faults, Field, Fields, Place, Shape, Type};

impl Type {
    /// The bytes of a value. What nothing lies in is zero.
    ///
    /// # Errors
    /// When it is no value of this type, with all that is wrong.
    pub fn encode(&self, value: &Value, endian: Endian) -> Result<Vec<u8>, Faults> {
        let mut bytes = vec![0; self.bytes()];
        self.encode_into(value, endian, &mut bytes)?;
        Ok(bytes)
    }

    /// Writes a value into bytes, which must be as many as the type has.
    ///
    /// # Errors
    /// When it is no value of this type, with all that is wrong.
    ///
    /// # Panics
    /// When there are more bytes, or less.
    pub fn encode_into(&self, value: &Value, endian: Endian, bytes: &mut [u8]) -> Result<(), Faults> {
        assert_eq!(bytes.len(), self.bytes(), "a value is written into as many bytes as it has");
        bytes.fill(0);
        let mut writer = Writer { endian, faults: Vec::new(), path: Vec::new() };
        writer.write(self, value, bytes);
        writer.finish()
    }

    /// Writes an array of values, one for each processor, as the kernel takes them.
    ///
    /// # Errors
    /// When they are not as many as there are processors, or one is no value of this type, with all that is wrong.
    pub fn encode_per_cpu(
        &self,
        values: &Value,
        processors: usize,
        endian: Endian,
    ) -> Result<Vec<u8>, Faults> {
        let stride = self.bytes().next_multiple_of(STRIDE_BYTES).max(STRIDE_BYTES);
        let mut bytes = vec![0; stride * processors];
        let mut writer = Writer { endian, faults: Vec::new(), path: Vec::new() };
        let given = values.as_array().filter(|given| given.len() == processors);
        let Some(given) = given else {
            let kind = if values.is_array() { FaultKind::Length } else { FaultKind::Kind };
            let expected = format!("an array of {processors} elements, one for each processor");
            writer.fault(kind, values.to_string(), expected);
            return writer.finish().map(|()| bytes);
        };
        for (at, (value, room)) in given.iter().zip(bytes.chunks_exact_mut(stride)).enumerate() {
            writer.path.push(Step::Element(at));
            writer.write(self, value, &mut room[..self.bytes()]);
            writer.path.pop();
        }
        writer.finish().map(|()| bytes)
    }
}

/// A step on the way to what is written.
#[derive(Debug, Clone, Copy)]
enum Step<'a> {
    Field(&'a str),
    Element(usize),
}

/// What is wrong with one value.
struct Wrong {
    kind: FaultKind,
    expected: String,
}

struct Writer<'a> {
    endian: Endian,
    faults: Vec<Fault>,
    path: Vec<Step<'a>>,
}

impl<'a> Writer<'a> {
    fn finish(self) -> Result<(), Faults> {
        if self.faults.is_empty() { Ok(()) } else { Err(Faults(self.faults)) }
    }

    /// Writes into bytes that are zero.
    fn write(&mut self, is: &'a Type, value: &Value, bytes: &mut [u8]) {
        let done = match is.shape() {
            Shape::Array(array) => self.array(array, value, bytes),
            Shape::Struct(fields) | Shape::Union(fields) => self.object(is, fields, value, bytes),
            Shape::Integer(_)
            | Shape::Bool
            | Shape::Float
            | Shape::Enum(_)
            | Shape::Flags(_)
            | Shape::Text
            | Shape::Bytes
            | Shape::Pointer
            | Shape::Kernel
            | Shape::Ipv4
            | Shape::Ipv6
            | Shape::Ip
            | Shape::Mac
            | Shape::Prefix(_) => scalar::write(is, value, self.endian, bytes),
        };
        if let Err(Wrong { kind, expected }) = done {
            self.fault(kind, value.to_string(), expected);
        }
    }

    fn array(&mut self, array: &'a Array, value: &Value, bytes: &mut [u8]) -> Result<(), Wrong> {
        let expected = || format!("an array of {} elements", array.count);
        let Value::Array(values) = value else {
            return Err(Wrong { kind: FaultKind::Kind, expected: expected() });
        };
        if values.len() != array.count {
            let expected = format!("{}, not of {}", expected(), values.len());
            return Err(Wrong { kind: FaultKind::Length, expected });
        }
        let room = bytes.chunks_exact_mut(array.element.bytes().max(1));
        for (at, (value, bytes)) in values.iter().zip(room).enumerate() {
            self.path.push(Step::Element(at));
            self.write(&array.element, value, bytes);
            self.path.pop();
        }
        Ok(())
    }

    fn object(
        &mut self,
        is: &'a Type,
        fields: &'a Fields,
        value: &Value,
        bytes: &mut [u8],
    ) -> Result<(), Wrong> {
        let Value::Object(object) = value else {
            return Err(Wrong { kind: FaultKind::Kind, expected: expected(is) });
        };
        let written = self.fields(is, object, bytes);
        if written < object.len() {
            self.extra(fields, object);
        }
        Ok(())
    }

    /// Writes what an object has for a structure or union, and tells how many of its entries that were.
    fn fields(&mut self, is: &'a Type, object: &Map<String, Value>, bytes: &mut [u8]) -> usize {
        let Some(fields) = is.fields() else { return 0 };
        if matches!(is.shape(), Shape::Union(_)) {
            return self.union(fields, object, bytes);
        }
        fields.fields.iter().map(|field| self.field(field, object, bytes)).sum()
    }

    /// Writes a field of a structure, and tells how many entries of the object it took.
    fn field(&mut self, field: &'a Field, object: &Map<String, Value>, bytes: &mut [u8]) -> usize {
        let Some(name) = field.shown_name() else {
            return self.nameless(field, object, bytes);
        };
        if field.is.is_kernel() {
            return 0;
        }
        let given = object.get(name);
        self.path.push(Step::Field(name));
        match given.or(field.is.words().default.as_ref()) {
            Some(value) => self.place(field, value, bytes),
            None => self.fault(FaultKind::Missing, String::new(), expected(&field.is)),
        }
        self.path.pop();
        usize::from(given.is_some())
    }

    fn nameless(&mut self, field: &'a Field, object: &Map<String, Value>, bytes: &mut [u8]) -> usize {
        let Place::Bytes { offset } = field.place else { return 0 };
        self.fields(&field.is, object, &mut bytes[offset..offset + field.is.bytes()])
    }

    fn place(&mut self, field: &'a Field, value: &Value, bytes: &mut [u8]) {
        match field.place {
            Place::Bytes { offset } => {
                self.write(&field.is, value, &mut bytes[offset..offset + field.is.bytes()]);
            }
            Place::Bits { bit_offset, bits } => match scalar::word(&field.is, value, bits) {
                Ok(word) => put_bits(bytes, self.endian, (bit_offset, bits), word),
                Err(Wrong { kind, expected }) => self.fault(kind, value.to_string(), expected),
            },
        }
    }

    fn extra(&mut self, fields: &'a Fields, object: &Map<String, Value>) {
        let known = shown_names(fields);
        for (name, value) in object.iter().filter(|(name, _)| !known.contains(&name.as_str())) {
            let pointer = format!("{}/{}", self.pointer(), escaped(name));
            let expected = list(&known);
            self.faults.push(Fault {
                pointer,
                kind: FaultKind::Extra,
                given: shortened(value.to_string()),
                expected,
            });
        }
    }

    fn fault(&mut self, kind: FaultKind, given: String, expected: String) {
        let given = shortened(given);
        self.faults.push(Fault { pointer: self.pointer(), kind, given, expected });
    }

    fn pointer(&self) -> String {
        let step = |step: &Step<'_>| match step {
            Step::Field(name) => format!("/{}", escaped(name)),
            Step::Element(at) => format!("/{at}"),
        };
        self.path.iter().map(step).collect()
    }
}

/// What was given may be of any length; messages are not.
pub(crate) fn shortened(given: String) -> String {
    const MOST: usize = 120;
    match given.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &given[..end]),
        None => given,
    }
}

/// RFC 6901, section 3.
pub(crate) fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// The names of fields that may be written, with those of fields that stand for themselves.
pub(crate) fn shown_names(fields: &Fields) -> Vec<&str> {
    let mut names = Vec::new();
    for field in &fields.fields {
        match (field.shown_name(), field.is.fields()) {
            (Some(name), _) if !field.is.is_kernel() => names.push(name),
            (None, Some(inner)) => names.extend(shown_names(inner)),
            _ => {}
        }
    }
    names
}

/// Names in words, of which one will do: `a`, `b` or `c`.
pub(crate) fn list(names: &[&str]) -> String {
    joined(names, "or")
}

/// Names in words, of which all are needed: `a`, `b` and `c`.
pub(crate) fn list_all(names: &[&str]) -> String {
    joined(names, "and")
}

fn joined(names: &[&str], word: &str) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match quoted.as_slice() {
        [] => "nothing".to_owned(),
        [only] => only.clone(),
        [rest @ .., last] => format!("{} {word} {last}", rest.join(", ")),
    }
}

/// Writes bits where nothing but zeros are.
fn put_bits(bytes: &mut [u8], endian: Endian, (start, bits): (usize, u32), word: u128) {
    let (range, shift) = around(endian, start, bits);
    let room = &mut bytes[range];
    let mask = u128::MAX >> (128 - bits);
    let held = endian.read(room);
    endian.write(held | (word & mask) << shift, room);
}
