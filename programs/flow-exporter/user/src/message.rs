// SPDX-License-Identifier: Apache-2.0
//! Messages of IPFIX (RFC 7011, section 3): a header, and sets of records. It knows no element; what does not fit is refused,
//! and no length is ever more than its field can say.

use std::net::IpAddr;

/// The bytes of a message in front of its sets.
pub(crate) const HEADER_BYTES: usize = 16;
/// The bytes of a set in front of its records.
const SET_BYTES: usize = 4;
/// The most that the length of a message can say.
pub(crate) const MOST_BYTES: usize = 65535;
/// The set of templates, and that of templates of options; data sets have the number of their template, from 256.
pub(crate) const TEMPLATES: u16 = 2;
/// See [`TEMPLATES`].
pub(crate) const OPTIONS_TEMPLATES: u16 = 3;
/// The version of IPFIX.
const VERSION: u16 = 10;

/// A record has no room in the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Full;

/// A message that is being put together.
#[derive(Debug)]
pub(crate) struct Message {
    bytes: Vec<u8>,
    most: usize,
    /// The set that is open, and where it begins.
    set: Option<(u16, usize)>,
    records: u32,
}

impl Message {
    /// An empty one that will have no more bytes than this.
    pub(crate) fn new(most: usize) -> Self {
        Self { bytes: vec![0; HEADER_BYTES], most: most.min(MOST_BYTES), set: None, records: 0 }
    }

    /// Puts a record into a set. Records of the same set in a row are in one.
    pub(crate) fn add(&mut self, set: u16, record: &[u8]) -> Result<(), Full> {
        let is_open = self.set.is_some_and(|(open, _)| open == set);
        let more = record.len() + if is_open { 0 } else { SET_BYTES };
        if self.bytes.len() + more > self.most {
            return Err(Full);
        }
        if !is_open {
            self.close();
            self.set = Some((set, self.bytes.len()));
            self.bytes.extend(set.to_be_bytes());
            self.bytes.extend([0; 2]);
        }
        self.bytes.extend(record);
        self.records += u32::from(set > 255);
        Ok(())
    }

    /// How many data records it has; templates are none.
    pub(crate) fn records(&self) -> u32 {
        self.records
    }

    /// How many bytes it has.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The message as it is sent: at a time in seconds since 1970, with the number of data records that the transport session had
    /// before it.
    pub(crate) fn finish(mut self, seconds: u32, sequence: u32, domain: u32) -> Vec<u8> {
        self.close();
        let length = u16::try_from(self.bytes.len()).expect("it never has more than 65535 bytes");
        self.bytes[..2].copy_from_slice(&VERSION.to_be_bytes());
        self.bytes[2..4].copy_from_slice(&length.to_be_bytes());
        self.bytes[4..8].copy_from_slice(&seconds.to_be_bytes());
        self.bytes[8..12].copy_from_slice(&sequence.to_be_bytes());
        self.bytes[12..16].copy_from_slice(&domain.to_be_bytes());
        self.bytes
    }

    fn close(&mut self) {
        if let Some((_, begin)) = self.set.take() {
            let length = u16::try_from(self.bytes.len() - begin).expect("a set is shorter than its message");
            self.bytes[begin + 2..begin + 4].copy_from_slice(&length.to_be_bytes());
        }
    }
}

/// A value, to be written in so many bytes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value<'a> {
    Number(u64),
    Float(f64),
    Address(IpAddr),
    Text(&'a str),
}

impl Value<'_> {
    /// Writes it as a template says: numbers in so many of their low bytes, text with its length in front.
    pub(crate) fn write(&self, bytes: u16, to: &mut Vec<u8>) {
        match self {
            Self::Number(number) => {
                let all = number.to_be_bytes();
                to.extend(&all[all.len() - usize::from(bytes).min(all.len())..]);
            }
            Self::Float(number) => to.extend(number.to_be_bytes()),
            Self::Address(IpAddr::V4(short)) if bytes == 4 => to.extend(short.octets()),
            // An IPv4-mapped address in a packet of IPv6.
            Self::Address(IpAddr::V4(short)) => to.extend(short.to_ipv6_mapped().octets()),
            Self::Address(IpAddr::V6(long)) => to.extend(long.octets()),
            Self::Text(text) => write_text(text, to),
        }
    }
}

/// One byte tells the length, or 255 and two more (RFC 7011, section 7).
fn write_text(text: &str, to: &mut Vec<u8>) {
    let mut end = text.len().min(usize::from(u16::MAX) - 1);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let text = &text.as_bytes()[..end];
    match u8::try_from(text.len()) {
        Ok(short) if short < 255 => to.push(short),
        _ => {
            to.push(255);
            let length = u16::try_from(text.len()).expect("it was cut to what fits");
            to.extend(length.to_be_bytes());
        }
    }
    to.extend(text);
}
