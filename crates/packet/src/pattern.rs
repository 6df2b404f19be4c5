// SPDX-License-Identifier: Apache-2.0
//! What a packet should be: all of it, or what is said of it, where `..` stands for the rest.

use std::fmt;

use crate::{Difference, Packet, difference};

/// What a packet should be.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pattern {
    pub(crate) packet: Packet,
    /// Of which layers only what is said counts.
    pub(crate) open: Vec<bool>,
    /// Whether anything may be behind the last layer.
    pub(crate) is_open_behind: bool,
}

impl Pattern {
    /// How a packet is not what it should be; nothing where it is.
    pub fn differences(&self, got: &[u8]) -> Vec<Difference> {
        if self.is_open() {
            difference::from_pattern(self, got)
        } else {
            difference::between(&self.packet.to_bytes(), got)
        }
    }

    /// Whether it leaves something open.
    pub(crate) fn is_open(&self) -> bool {
        self.is_open_behind || self.open.contains(&true)
    }
}

/// Exactly this packet.
impl From<Packet> for Pattern {
    fn from(packet: Packet) -> Self {
        let open = vec![false; packet.layers.len()];
        Self { packet, open, is_open_behind: false }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let layers = self.packet.layers.iter().zip(&self.open).map(|(layer, is_open)| {
            let text = layer.to_string();
            match (is_open, text.strip_suffix(')')) {
                (false, _) => text,
                (true, Some(said)) if said.ends_with('(') => format!("{said}..)"),
                (true, Some(said)) => format!("{said}, ..)"),
                (true, None) => format!("{text}(..)"),
            }
        });
        let cut = self.packet.cut.map(|bytes| format!("cut({bytes})"));
        let behind = self.is_open_behind.then(|| "..".to_owned());
        f.write_str(&layers.chain(cut).chain(behind).collect::<Vec<_>>().join(" / "))
    }
}
