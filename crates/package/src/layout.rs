// SPDX-License-Identifier: Apache-2.0
//! What lies where in the maps of an object, as lines that can be compared.
//!
//! Two releases of a program may share a map when every line of it is the same. A line that is not tells which field
//! differs, in words: `value.tokens: u64 at 8`.

use std::collections::BTreeMap;

use maps::{Btf, Kind, Member};
use serde::{Deserialize, Serialize};

/// The maps of an object by name, those of global variables by the name of their section.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Layout(pub BTreeMap<String, Vec<String>>);

/// The first line in which two layouts of one map differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The line of the one; none where it has no more.
    pub was: Option<String>,
    /// The line of the other; none where it has no more.
    pub becomes: Option<String>,
}

impl Layout {
    /// Where a map differs that both have; none where it does not.
    pub fn difference(&self, other: &Self, map: &str) -> Option<Difference> {
        let (one, other) = (self.0.get(map)?, other.0.get(map)?);
        let lines = one.len().max(other.len());
        (0..lines)
            .map(|at| (one.get(at), other.get(at)))
            .find(|(one, other)| one != other)
            .map(|(was, becomes)| Difference { was: was.cloned(), becomes: becomes.cloned() })
    }
}

/// More lines than any map has that somebody looks at; the rest of a map that has more is one line.
const MOST_LINES: usize = 2048;
/// How deep structures may lie in each other.
const MOST_DEPTH: usize = 16;

/// Writes down what lies in a type, under a name, from an offset in bits.
pub(crate) fn describe(btf: &Btf<'_>, id: u32, name: &str, from: u64, lines: &mut Vec<String>) {
    Writer { btf, lines }.write(id, name, from, 0);
}

struct Writer<'a, 'b> {
    btf: &'a Btf<'b>,
    lines: &'a mut Vec<String>,
}

impl Writer<'_, '_> {
    fn write(&mut self, id: u32, name: &str, from: u64, depth: usize) {
        if self.lines.len() >= MOST_LINES || depth > MOST_DEPTH {
            return;
        }
        match self.btf.resolve(id).kind {
            Some(Kind::Struct { bytes, members } | Kind::Union { bytes, members }) => {
                self.line(name, &format!("{bytes} bytes"), from);
                self.write_members(members, name, from, depth);
            }
            Some(Kind::Array { element, count }) => {
                self.line(name, &format!("{count} times"), from);
                self.write(*element, &format!("{name}[]"), from, depth + 1);
            }
            Some(Kind::Int { bytes, boolean: true, .. }) => {
                self.line(name, &format!("bool of {bytes}"), from);
            }
            Some(Kind::Int { bytes, signed, .. }) => {
                let sign = if *signed { 'i' } else { 'u' };
                self.line(name, &format!("{sign}{}", u64::from(*bytes) * 8), from);
            }
            Some(Kind::Enum { bytes, .. }) => self.line(name, &format!("u{}", u64::from(*bytes) * 8), from),
            Some(Kind::Pointer { .. }) => self.line(name, "pointer", from),
            _ => self.line(name, "of unknown kind", from),
        }
    }

    fn write_members(&mut self, members: &[Member<'_>], name: &str, from: u64, depth: usize) {
        for member in members {
            let name =
                if member.name.is_empty() { name.to_owned() } else { format!("{name}.{}", member.name) };
            // Bit fields have their length in the upper byte, as in BTF, so that they differ where that does.
            let offset = member.bit_offset | u32::from(member.bits) << 24;
            self.write(member.target, &name, from + u64::from(offset), depth + 1);
        }
    }

    fn line(&mut self, name: &str, what: &str, from: u64) {
        let at = if from.is_multiple_of(8) { (from / 8).to_string() } else { format!("bit {from}") };
        self.lines.push(format!("{name}: {what} at {at}"));
    }
}
