// SPDX-License-Identifier: Apache-2.0
//! How structures lie in C: which type each field has, what is between fields, and where only a packed structure lies right.

use std::ops::Range;

use maps::Place;

use super::WORDS;
use super::bounds::{Bounds, bounds};
use super::functions::{self, Functions};
use crate::model::{Content, Form, Model, Part, Whole};
use crate::names::{Case, Taken};

/// Names and alignments of definitions.
pub(super) struct Layout {
    /// With `struct` or `union` in front, where it is one.
    pub(super) names: Vec<String>,
    /// 1 for what is packed.
    pub(super) aligns: Vec<usize>,
    /// Functions of structures and unions.
    pub(super) functions: Vec<Functions>,
}

/// What a structure is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Within {
    /// Fields behind each other.
    Struct,
    /// Fields in one place.
    Union,
}

/// A declaration in a structure.
pub(super) enum Slot<'p> {
    /// A field.
    Part { part: &'p Part<'p>, at: usize, field: String },
    /// Bytes that no field has, or that bit fields share.
    Bytes { at: usize, bytes: usize, field: String },
}

impl Slot<'_> {
    /// Where it lies, and its name.
    pub(super) fn place(&self) -> (usize, &str) {
        match self {
            Self::Part { at, field, .. } | Self::Bytes { at, field, .. } => (*at, field),
        }
    }
}

/// The name of an integer.
pub(super) fn integer(bytes: usize, signed: bool) -> String {
    match (bytes, signed) {
        (16, true) => "__int128".to_owned(),
        (16, false) => "unsigned __int128".to_owned(),
        (_, true) => format!("int{}_t", bytes * 8),
        (_, false) => format!("uint{}_t", bytes * 8),
    }
}

/// Whether a number has a type that says its order.
fn is_wrapped(whole: &Whole) -> bool {
    whole.network && !whole.signed && matches!(whole.bytes, 2 | 4 | 8)
}

impl Layout {
    pub(super) fn of(model: &Model<'_>, prefix: &str, taken: &mut Taken) -> Self {
        let (names, functions) = functions::named(model, prefix, taken);
        let mut layout = Self { names, aligns: Vec::new(), functions };
        for definition in &model.definitions {
            let bytes = definition.is.bytes();
            layout.aligns.push(match &definition.content {
                Content::Enum(_) | Content::Flags(_) => bytes,
                Content::Struct(parts) | Content::Union(parts) => layout.align_of(parts, bytes),
            });
        }
        layout
    }

    /// The alignment that a compiler gives a structure, where all of it then lies right; else 1, packed.
    fn align_of(&self, parts: &[Part<'_>], bytes: usize) -> usize {
        let aligned = parts.iter().filter_map(|part| match part.place {
            Place::Bytes { offset } => Some((offset, self.align(&part.form))),
            Place::Bits { .. } => None,
        });
        let aligned: Vec<(usize, usize)> = aligned.collect();
        let greatest = aligned.iter().map(|(_, align)| *align).max().unwrap_or(1);
        let right = aligned.iter().all(|(offset, align)| offset.is_multiple_of(*align));
        if right && bytes.is_multiple_of(greatest) { greatest } else { 1 }
    }

    fn align(&self, form: &Form) -> usize {
        match form {
            Form::Integer(whole) | Form::Names(_, whole) => whole.bytes,
            Form::Bool(bytes) => *bytes,
            Form::Float(real) => real.bytes,
            Form::Text(_)
            | Form::Bytes(_)
            | Form::Kernel(_)
            | Form::Ipv4
            | Form::Ipv6
            | Form::Ip
            | Form::Mac => 1,
            Form::Prefix(of) if matches!(**of, Form::Bytes(_)) => 1,
            Form::Prefix(_) => 4,
            Form::Defined(index, _) => self.aligns[*index],
            Form::Array(of, _) => self.align(of),
        }
    }

    /// A declaration, without its semicolon.
    pub(super) fn declared(&self, slot: &Slot<'_>) -> String {
        match slot {
            Slot::Part { part, field, .. } => self.declare(&part.form, field),
            Slot::Bytes { bytes, field, .. } => format!("uint8_t {field}[{bytes}]"),
        }
    }

    /// The declaration of something of a form.
    pub(super) fn declare(&self, form: &Form, name: &str) -> String {
        let is = match form {
            Form::Integer(whole) if is_wrapped(whole) => format!("struct l3af_be{}", whole.bytes * 8),
            Form::Integer(whole) => integer(whole.bytes, whole.signed),
            Form::Bool(1) => "bool".to_owned(),
            Form::Bool(bytes) => integer(*bytes, false),
            Form::Float(real) => if real.bytes == 4 { "float" } else { "double" }.to_owned(),
            Form::Text(bytes) => return format!("char {name}[{bytes}]"),
            Form::Bytes(bytes) | Form::Kernel(bytes) => return format!("uint8_t {name}[{bytes}]"),
            Form::Ipv4 => "struct l3af_ipv4".to_owned(),
            Form::Ipv6 | Form::Ip => "struct l3af_ipv6".to_owned(),
            Form::Mac => "struct l3af_mac".to_owned(),
            Form::Prefix(of) if matches!(**of, Form::Ipv4) => "struct l3af_ipv4_prefix".to_owned(),
            Form::Prefix(of) if matches!(**of, Form::Ipv6) => "struct l3af_ipv6_prefix".to_owned(),
            Form::Prefix(_) => return format!("uint8_t {name}[{}]", form.bytes()),
            Form::Names(index, _) | Form::Defined(index, _) => self.names[*index].clone(),
            Form::Array(of, count) => return self.declare(of, &format!("{name}[{count}]")),
        };
        format!("{is} {name}")
    }

    /// The statements that say what may not be written.
    pub(super) fn check(&self, form: &Form, (value, what): (&str, &str), depth: usize) -> Vec<String> {
        match form {
            Form::Integer(whole) if is_wrapped(whole) => {
                let read = format!("l3af_be{}_value({value})", whole.bytes * 8);
                bounds(&read, what, &Bounds::from(whole))
            }
            // A number with a sign in network order has no type of its own.
            Form::Integer(whole) if whole.network && whole.bytes > 1 => Vec::new(),
            Form::Integer(whole) => bounds(value, what, &Bounds::from(whole)),
            Form::Float(real) => bounds(value, what, &Bounds::from(real)),
            Form::Defined(index, _) => {
                vec![format!("wrong = wrong ? wrong : {}(&{value});", self.functions[*index].check)]
            }
            Form::Array(of, count) => {
                let inner = self.check(of, (&format!("{value}[index_{depth}]"), what), depth + 1);
                if inner.is_empty() {
                    return inner;
                }
                let head =
                    format!("for (int index_{depth} = 0; index_{depth} < {count}; index_{depth}++) {{");
                let inner = inner.into_iter().map(|line| format!("\t{line}"));
                [head].into_iter().chain(inner).chain(["}".to_owned()]).collect()
            }
            Form::Bool(_)
            | Form::Text(_)
            | Form::Bytes(_)
            | Form::Kernel(_)
            | Form::Ipv4
            | Form::Ipv6
            | Form::Ip
            | Form::Mac
            | Form::Prefix(_)
            | Form::Names(..) => Vec::new(),
        }
    }
}

/// The declarations of a structure, in the order of their places.
pub(super) fn slots<'p>(parts: &'p [Part<'p>], bytes: usize, within: Within) -> Vec<Slot<'p>> {
    let mut taken = Taken::but(WORDS);
    let mut slots: Vec<Slot<'p>> = Vec::new();
    for part in parts {
        match part.place {
            Place::Bytes { offset } => {
                let field = taken.give(Case::Snake.join(&[&part.name]));
                slots.push(Slot::Part { part, at: offset, field });
            }
            Place::Bits { bit_offset, bits } => {
                let range = bit_offset / 8..(bit_offset + bits as usize).div_ceil(8);
                share(&mut slots, range, within, &mut taken);
            }
        }
    }
    match within {
        Within::Struct => padded(slots, bytes, &mut taken),
        Within::Union => {
            slots.push(Slot::Bytes { at: 0, bytes, field: taken.give("all_bytes".to_owned()) });
            slots
        }
    }
}

/// Makes room for a bit field: bytes of its own, or those of the one in front that it goes on with.
fn share(slots: &mut Vec<Slot<'_>>, range: Range<usize>, within: Within, taken: &mut Taken) {
    if let (Within::Struct, Some(Slot::Bytes { at, bytes, .. })) = (within, slots.last_mut())
        && *at <= range.start
        && range.start <= *at + *bytes
    {
        *bytes = range.end - *at;
        return;
    }
    let field = taken.give(format!("bits_at_{}", range.start));
    slots.push(Slot::Bytes { at: range.start, bytes: range.end - range.start, field });
}

/// The declarations with padding between them.
fn padded<'p>(mut slots: Vec<Slot<'p>>, bytes: usize, taken: &mut Taken) -> Vec<Slot<'p>> {
    slots.sort_by_key(|slot| slot.place().0);
    let mut all = Vec::new();
    let mut end = 0;
    let mut fill = |all: &mut Vec<Slot<'p>>, end: usize, next: usize| {
        if next > end {
            let field = taken.give(format!("padding_at_{end}"));
            all.push(Slot::Bytes { at: end, bytes: next - end, field });
        }
    };
    for slot in slots {
        let (at, size) = match &slot {
            Slot::Part { part, at, .. } => (*at, part.form.bytes()),
            Slot::Bytes { at, bytes, .. } => (*at, *bytes),
        };
        fill(&mut all, end, at);
        end = at + size;
        all.push(slot);
    }
    fill(&mut all, end, bytes);
    all
}
