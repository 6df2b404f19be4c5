// SPDX-License-Identifier: Apache-2.0
//! The packets that tests hand to programs: as text, or from a capture beside the test.

use packet::{BadPacket, Packet};
use serde::Deserialize;

use crate::failure::Failure;

/// A packet.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "expected a packet as text, or a table with `capture` and `packet`")]
pub(super) enum Input {
    /// As text.
    Text(String),
    /// One of a capture.
    Captured(Captured),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Captured {
    /// A file in `tests/`.
    capture: String,
    /// Which of its packets, from 1.
    packet: usize,
}

/// The bytes of a packet.
pub(super) fn bytes<'a>(input: &Input, file: &dyn Fn(&str) -> Option<&'a [u8]>) -> Result<Vec<u8>, Failure> {
    let Captured { capture, packet } = match input {
        Input::Text(text) => {
            let packet: Packet = text.parse().map_err(|bad| bad_packet("in", text, &bad))?;
            return Ok(packet.to_bytes());
        }
        Input::Captured(captured) => captured,
    };
    let path = format!("tests/{capture}");
    let bytes = file(&path).ok_or_else(|| {
        Failure::new(format!("there is no capture `{path}`")).with_hint("it lies in `tests/` of the package")
    })?;
    let packets = packet::read_capture(bytes)
        .map_err(|bad| Failure::new(format!("the capture `{path}` cannot be read: {bad}")))?;
    let found = packet.checked_sub(1).and_then(|place| packets.get(place));
    found.cloned().ok_or_else(|| {
        Failure::new(format!("the capture `{path}` has no packet {packet}"))
            .with_hint(format!("it has {}, and the first is 1", packets.len()))
    })
}

/// What is wrong with a text, with a line that points at it.
pub(super) fn bad_packet(field: &str, text: &str, bad: &BadPacket) -> Failure {
    let shown: String = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    let at = " ".repeat(bad.column - 1);
    Failure::new(format!("`{field}` is no packet, at {bad}\n  {shown}\n  {at}^"))
        .with_hint("docs/testing.md describes packets as text")
}
