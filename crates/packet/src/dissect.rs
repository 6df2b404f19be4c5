// SPDX-License-Identifier: Apache-2.0
//! From bytes to layers. Whatever is no header, or not all of one, is payload.

use crate::field::Unsaid;
use crate::{Kind, Layer, Packet, bits};

/// So many headers are looked for; what is behind is payload.
const MOST_LAYERS: usize = 24;

impl Packet {
    /// The packet that these bytes are, of which no more is said than is not so anyway.
    pub fn of_bytes(bytes: &[u8]) -> Self {
        let mut packet = Self::dissect(bytes);
        for number in 0..packet.layers.len() {
            packet.leave_out(number, bytes);
        }
        packet
    }

    /// The packet that these bytes are, of which all is said.
    pub(crate) fn dissect(bytes: &[u8]) -> Self {
        let (mut layers, mut at, mut end) = (Vec::new(), 0, bytes.len());
        let (mut kind, mut is_in_ip) = (Some(Kind::Eth), false);
        while let Some(known) = kind.filter(|_| layers.len() < MOST_LAYERS) {
            let Some((layer, header_bytes)) = header(known, &bytes[at..end]) else { break };
            let counted =
                layer.said("len").map(|counted| if known == Kind::Ipv6 { counted + 40 } else { counted });
            let counted = counted.filter(|_| matches!(known, Kind::Ipv4 | Kind::Ipv6));
            let counted = counted.and_then(|counted| usize::try_from(counted).ok());
            if let Some(counted) =
                counted.filter(|counted| (header_bytes..=end - at).contains(counted) && !is_in_ip)
            {
                (end, is_in_ip) = (at + counted, true);
            }
            at += header_bytes;
            kind = behind(&layer);
            layers.push(layer);
        }
        if at < end || layers.is_empty() {
            layers.push(Layer::of_bytes(Kind::Payload, &bytes[at..end]));
        }
        if end < bytes.len() {
            layers.push(Layer::of_bytes(Kind::Trailer, &bytes[end..]));
        }
        Self { layers, cut: None }
    }

    /// Says no more of a layer than must be said for these bytes.
    fn leave_out(&mut self, number: usize, bytes: &[u8]) {
        let kind = self.layers[number].kind;
        for (place, field) in kind.fields().iter().enumerate() {
            let said = self.layers[number].said[place].take();
            let is_so = match field.unsaid.plain() {
                Some(number) => said == Some(number),
                None => self.to_bytes() == bytes,
            };
            if !is_so {
                self.layers[number].said[place] = said;
            }
        }
        let Some(tail) = kind.tail().filter(|_| !kind.is_bytes()) else { return };
        let layer = &mut self.layers[number];
        let end = layer.end();
        layer.tail = None;
        if layer.end() == end {
            return;
        }
        let mut shorter = end.clone();
        while shorter.last() == Some(&0) && end.len() - shorter.len() < tail.unit - 1 {
            shorter.pop();
        }
        layer.tail = Some(shorter);
    }
}

/// The header that bytes begin with, and how long it is.
fn header(kind: Kind, bytes: &[u8]) -> Option<(Layer, usize)> {
    let head_bytes = kind.head_bytes();
    let head = bytes.get(..head_bytes)?;
    let read = kind.fields().iter().map(|field| Some(bits::read(head, field.at, field.bits)));
    let mut layer = Layer { said: read.collect(), ..Layer::new(kind) };
    let number = |name| layer.said(name).and_then(|number| usize::try_from(number).ok()).unwrap_or_default();
    let header_bytes = match kind {
        Kind::Ipv4 => number("ihl") * 4,
        Kind::Tcp => number("words") * 4,
        Kind::Hop | Kind::Dest | Kind::Route => (number("len") + 1) * 8,
        Kind::Ah => (number("len") + 2) * 4,
        // A checksum, a key and a number, each where its bit is set.
        Kind::Gre => 4 + [0x1000, 0x400, 0x200].iter().filter(|bit| number("flags") & *bit != 0).count() * 4,
        Kind::Eth
        | Kind::Vlan
        | Kind::Arp
        | Kind::Ipv6
        | Kind::Frag
        | Kind::Udp
        | Kind::Icmp
        | Kind::Icmpv6
        | Kind::Vxlan
        | Kind::Payload
        | Kind::Trailer => head_bytes,
    };
    let end = bytes.get(head_bytes..header_bytes)?;
    layer.tail = kind.tail().map(|_| end.to_vec());
    Some((layer, header_bytes))
}

/// What follows a header.
fn behind(layer: &Layer) -> Option<Kind> {
    // The headers that follow are in the first fragment only.
    if layer.said("offset").is_some_and(|offset| offset != 0) {
        return None;
    }
    let number = layer.fields().find(|(field, _)| matches!(field.unsaid, Unsaid::Next));
    layer.kind.next_of(number.and_then(|(_, said)| said).unwrap_or_default())
}
