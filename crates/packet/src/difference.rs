// SPDX-License-Identifier: Apache-2.0
//! How one packet is not another, field by field.

use std::fmt;

use crate::layer::show_end;
use crate::{Layer, Packet, Pattern};

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Where: a field such as `ipv4.ttl`, or the number of a layer.
    pub place: String,
    /// What should be there.
    pub expected: String,
    /// What is.
    pub got: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: expected {}, got {}", self.place, self.expected, self.got)
    }
}

impl Difference {
    fn new(place: impl Into<String>, expected: impl Into<String>, got: impl Into<String>) -> Self {
        Self { place: place.into(), expected: expected.into(), got: got.into() }
    }
}

/// How bytes are not those that they should be.
pub(crate) fn between(expected: &[u8], got: &[u8]) -> Vec<Difference> {
    if expected == got {
        return Vec::new();
    }
    let (whole, whole_got) = (Packet::dissect(expected), Packet::dissect(got));
    let (told, told_got) = (Packet::of_bytes(expected), Packet::of_bytes(got));
    let mut found = Vec::new();
    let mut is_other = whole.layers.len() != whole_got.layers.len();
    for (number, (layer, other)) in whole.layers.iter().zip(&whole_got.layers).enumerate() {
        if layer.kind != other.kind {
            is_other = true;
            break;
        }
        // What follows from the rest differs with it, and is worth no line where it does follow.
        let follows = |place: usize| {
            [&told, &told_got].iter().all(|packet| {
                packet
                    .layers
                    .get(number)
                    .is_some_and(|layer| layer.said.get(place).is_some_and(Option::is_none))
            })
        };
        let fields = layer.fields().zip(other.fields()).enumerate();
        let fields = fields.filter(|(place, ((field, _), _))| !(field.unsaid.follows() && follows(*place)));
        let differ = fields.filter(|(_, ((_, said), (_, got)))| said != got);
        found.extend(differ.map(|(_, ((field, said), (_, got)))| {
            let show = |number: Option<u128>| field.form.show(number.unwrap_or_default());
            Difference::new(format!("{}.{}", layer.kind.name(), field.name), show(said), show(got))
        }));
        found.extend(ends(layer, &layer.end(), &other.end()));
    }
    if is_other || found.is_empty() {
        found.push(layers(&told.to_string(), &told_got));
    }
    found
}

/// How bytes are not what is said of them.
pub(crate) fn from_pattern(pattern: &Pattern, got: &[u8]) -> Vec<Difference> {
    let (whole, told) = (Packet::dissect(got), Packet::of_bytes(got));
    let mut found = Vec::new();
    let mut is_other = whole.layers.len() < pattern.packet.layers.len()
        || (whole.layers.len() > pattern.packet.layers.len() && !pattern.is_open_behind);
    for (number, (layer, other)) in pattern.packet.layers.iter().zip(&whole.layers).enumerate() {
        if layer.kind != other.kind {
            is_other = true;
            break;
        }
        let is_open = pattern.open.get(number).copied().unwrap_or_default();
        for ((field, said), (_, got)) in layer.fields().zip(other.fields()) {
            // What would follow cannot be known where something is open.
            let unsaid = field.unsaid.plain().filter(|_| !is_open);
            let (Some(expected), Some(got)) = (said.or(unsaid), got) else { continue };
            if expected != got {
                let place = format!("{}.{}", layer.kind.name(), field.name);
                found.push(Difference::new(place, field.form.show(expected), field.form.show(got)));
            }
        }
        if layer.tail.is_some() || !is_open {
            found.extend(ends(layer, &layer.end(), &other.end()));
        }
    }
    if is_other {
        found.push(layers(&pattern.to_string(), &told));
    }
    found
}

fn layers(expected: &str, got: &Packet) -> Difference {
    Difference::new("packet", expected, got.to_string())
}

/// How the end of a layer is another.
fn ends(layer: &Layer, expected: &[u8], got: &[u8]) -> Option<Difference> {
    const SHOWN: usize = 32;
    let tail = layer.kind.tail().filter(|_| expected != got)?;
    let name = if layer.kind.is_bytes() {
        layer.kind.name().to_owned()
    } else {
        format!("{}.{}", layer.kind.name(), tail.name)
    };
    if expected.len().max(got.len()) <= SHOWN {
        return Some(Difference::new(name, show_end(layer.kind, expected), show_end(layer.kind, got)));
    }
    let from = expected.iter().zip(got).take_while(|(one, other)| one == other).count();
    let show = |bytes: &[u8]| {
        let part: Vec<u8> = bytes.iter().skip(from).take(SHOWN).copied().collect();
        format!("{} ({} bytes in all)", show_end(layer.kind, &part), bytes.len())
    };
    Some(Difference::new(format!("{name} from byte {from}"), show(expected), show(got)))
}
