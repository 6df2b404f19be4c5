// SPDX-License-Identifier: Apache-2.0
//! Packets as layers, of which no more is said than is not so anyway.

use std::fmt;

use crate::field::Field;
use crate::{Kind, bytes, options};

/// A packet.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Packet {
    /// Its layers, the outermost first.
    pub(crate) layers: Vec<Layer>,
    /// How many bytes of it there are; all where nobody says so.
    pub(crate) cut: Option<usize>,
}

/// A layer of a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    pub(crate) kind: Kind,
    /// What is said of its fields, in their order.
    pub(crate) said: Vec<Option<u128>>,
    /// What is said of its end.
    pub(crate) tail: Option<Vec<u8>>,
}

impl Packet {
    /// Its layers, the outermost first.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }
}

impl Layer {
    /// A layer of which nothing is said.
    pub(crate) fn new(kind: Kind) -> Self {
        Self { kind, said: vec![None; kind.fields().len()], tail: None }
    }

    /// Bytes that nobody looks into.
    pub(crate) fn of_bytes(kind: Kind, bytes: &[u8]) -> Self {
        Self { tail: Some(bytes.to_vec()), ..Self::new(kind) }
    }

    /// What it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Its fields with what is said of them.
    pub(crate) fn fields(&self) -> impl Iterator<Item = (&'static Field, Option<u128>)> {
        self.kind.fields().iter().zip(self.said.iter().copied())
    }

    /// What is said of a field.
    pub(crate) fn said(&self, name: &str) -> Option<u128> {
        self.fields().find(|(field, _)| field.name == name).and_then(|(_, said)| said)
    }

    /// Its end, filled up.
    pub(crate) fn end(&self) -> Vec<u8> {
        let Some(tail) = self.kind.tail() else { return Vec::new() };
        let mut end = self.tail.clone().unwrap_or_else(|| tail.unsaid.to_vec());
        let head = self.kind.head_bytes();
        end.resize((head + end.len()).next_multiple_of(tail.unit) - head, 0);
        end
    }
}

/// The end of a layer as text.
pub(crate) fn show_end(kind: Kind, end: &[u8]) -> String {
    if kind == Kind::Tcp { options::show(end) } else { bytes::show(end) }
}

/// `name(field=value, ..)`, with what is said.
impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let said = self.fields().filter_map(|(field, said)| Some((field, said?)));
        let mut said: Vec<String> =
            said.map(|(field, number)| format!("{}={}", field.name, field.form.show(number))).collect();
        if let Some((tail, end)) = self.kind.tail().zip(self.tail.as_ref()) {
            let text = show_end(self.kind, end);
            match self.kind.is_bytes() {
                true if end.is_empty() => {}
                true => said.push(text),
                false => said.push(format!("{}={text}", tail.name)),
            }
        }
        match (said.is_empty(), self.kind.is_bytes()) {
            (true, false) => f.write_str(self.kind.name()),
            (true, true) | (false, _) => write!(f, "{}({})", self.kind.name(), said.join(", ")),
        }
    }
}

impl fmt::Display for Packet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let layers = self.layers.iter().map(ToString::to_string);
        let layers: Vec<String> = layers.chain(self.cut.map(|bytes| format!("cut({bytes})"))).collect();
        f.write_str(&layers.join(" / "))
    }
}
