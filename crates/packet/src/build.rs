// SPDX-License-Identifier: Apache-2.0
//! From layers to bytes: what is said as it is said, and the rest as it follows.

use crate::field::{Field, Unsaid};
use crate::kind::PROTOCOLS;
use crate::{Kind, Layer, Packet, bits, checksum};

/// Where a layer lies.
#[derive(Debug, Clone, Copy)]
struct Span {
    start: usize,
    /// The end of its header.
    header_end: usize,
    /// The end of what the lengths of headers count.
    end: usize,
}

impl Packet {
    /// Its bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let spans = self.spans();
        let mut bytes = vec![0; spans.last().map_or(0, |span| span.header_end)];
        for (number, (layer, span)) in self.layers.iter().zip(&spans).enumerate() {
            let next = self.layers.get(number + 1).map(Layer::kind).filter(|kind| *kind != Kind::Trailer);
            for (field, said) in layer.fields() {
                let value = said.or_else(|| plain(layer.kind, field, *span, next));
                bits::write(&mut bytes[span.start..], field.at, field.bits, value.unwrap_or_default());
            }
            let end = layer.end();
            bytes[span.header_end - end.len()..span.header_end].copy_from_slice(&end);
        }
        // The checksum of a layer counts those of the layers within.
        for number in (0..self.layers.len()).rev() {
            self.sum_up(number, &spans, &mut bytes);
        }
        bytes.truncate(self.cut.unwrap_or(usize::MAX));
        bytes
    }

    /// Writes the checksums of a layer that are not said.
    fn sum_up(&self, number: usize, spans: &[Span], bytes: &mut [u8]) {
        let (layer, span) = (&self.layers[number], spans[number]);
        let mut outer = self.layers.iter().zip(spans).take(number);
        let outer = outer.rfind(|(layer, _)| matches!(layer.kind, Kind::Ipv4 | Kind::Ipv6));
        let addresses = outer.map(|(ip, at)| pseudo_header(ip.kind, layer.kind, &bytes[at.start..], span));
        let (header, all) = (span.start..span.header_end, span.start..span.end.max(span.header_end));
        for (field, _) in layer.fields().filter(|(_, said)| said.is_none()) {
            let sum = match field.unsaid {
                Unsaid::SumOfHeader => checksum::of(&[&bytes[header.clone()]]),
                Unsaid::SumOfAll => checksum::of(&[&bytes[all.clone()]]),
                Unsaid::SumWithAddresses => {
                    checksum::of(&[addresses.as_deref().unwrap_or_default(), &bytes[all.clone()]])
                }
                Unsaid::Is(_)
                | Unsaid::Next
                | Unsaid::HeaderUnits { .. }
                | Unsaid::Length
                | Unsaid::LengthBehind => continue,
            };
            // Zero stands for none at all (RFC 768).
            let sum = if layer.kind == Kind::Udp && sum == 0 { u16::MAX } else { sum };
            bits::write(&mut bytes[span.start..], field.at, field.bits, sum.into());
        }
    }

    fn spans(&self) -> Vec<Span> {
        let mut at = 0;
        let spans = self.layers.iter().map(|layer| {
            let start = at;
            at += layer.kind.head_bytes() + layer.end().len();
            (start, at)
        });
        let spans: Vec<_> = spans.collect();
        let trailer = self.layers.iter().zip(&spans).find(|(layer, _)| layer.kind == Kind::Trailer);
        let end = trailer.map_or(at, |(_, (start, _))| *start);
        spans.into_iter().map(|(start, header_end)| Span { start, header_end, end }).collect()
    }
}

/// What a field is that is no checksum.
fn plain(kind: Kind, field: &Field, span: Span, next: Option<Kind>) -> Option<u128> {
    let header = span.header_end - span.start;
    let number = match field.unsaid {
        Unsaid::Is(number) => return Some(number),
        Unsaid::Next => return Some(kind.number_of(next)),
        Unsaid::HeaderUnits { unit, less } => header / unit - less,
        Unsaid::Length => span.end.saturating_sub(span.start),
        Unsaid::LengthBehind => span.end.saturating_sub(span.header_end),
        Unsaid::SumOfHeader | Unsaid::SumOfAll | Unsaid::SumWithAddresses => return None,
    };
    Some(number as u128)
}

/// The pseudo-header of RFC 9293, 3.1, and RFC 8200, 8.1. The address that a routing header ends at is not looked for.
fn pseudo_header(ip: Kind, kind: Kind, header: &[u8], span: Span) -> Vec<u8> {
    let protocol = PROTOCOLS.iter().find(|(name, _)| *name == kind.name()).map_or(0, |(_, number)| *number);
    let mut bytes = header[if ip == Kind::Ipv4 { 12..20 } else { 8..40 }].to_vec();
    let mut rest = [0; 8];
    bits::write(&mut rest, 0, 32, span.end.saturating_sub(span.start) as u128);
    bits::write(&mut rest, 32, 32, protocol);
    bytes.extend(rest);
    bytes
}
