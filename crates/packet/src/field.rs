// SPDX-License-Identifier: Apache-2.0
//! A field of a header: where it is, how it is written, and what it is where nobody says so.

use std::net::{Ipv4Addr, Ipv6Addr};

/// A field.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    /// The bit of the header at which it begins.
    pub(crate) at: usize,
    /// How many bits it has.
    pub(crate) bits: usize,
    pub(crate) form: Form,
    pub(crate) unsaid: Unsaid,
}

/// How a field is written.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Form {
    Number,
    Hex,
    Mac,
    Ipv4,
    Ipv6,
    /// One of some names, or a number.
    Names(&'static [(&'static str, u128)]),
    /// Names of bits, joined by `+`, or a number.
    Flags(&'static [(&'static str, u128)]),
}

/// What a field is where nobody says so.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Unsaid {
    /// Always this.
    Is(u128),
    /// The number of the layer behind.
    Next,
    /// The length of the header in units of so many bytes, less so many units.
    HeaderUnits { unit: usize, less: usize },
    /// The bytes from the beginning of the header to the end.
    Length,
    /// The bytes behind the header.
    LengthBehind,
    /// The checksum of the header.
    SumOfHeader,
    /// The checksum from the header to the end.
    SumOfAll,
    /// The same, with the pseudo-header of the IP header in front.
    SumWithAddresses,
}

impl Unsaid {
    /// Whether it follows from the rest of the packet.
    pub(crate) fn follows(self) -> bool {
        self.plain().is_none()
    }

    /// What it is, whatever the rest of the packet.
    pub(crate) fn plain(self) -> Option<u128> {
        match self {
            Self::Is(number) => Some(number),
            Self::Next
            | Self::HeaderUnits { .. }
            | Self::Length
            | Self::LengthBehind
            | Self::SumOfHeader
            | Self::SumOfAll
            | Self::SumWithAddresses => None,
        }
    }
}

/// The end of a header that has no fixed length.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tail {
    pub(crate) name: &'static str,
    /// The header with it is a multiple of so many bytes.
    pub(crate) unit: usize,
    /// What it is where nobody says so.
    pub(crate) unsaid: &'static [u8],
}

impl Form {
    /// A number as text.
    pub(crate) fn show(self, number: u128) -> String {
        match self {
            Self::Number => number.to_string(),
            Self::Hex => format!("0x{number:x}"),
            Self::Mac => {
                let bytes = number.to_be_bytes();
                bytes[10..].iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":")
            }
            Self::Ipv4 => Ipv4Addr::from_bits(u32::try_from(number).unwrap_or_default()).to_string(),
            Self::Ipv6 => Ipv6Addr::from_bits(number).to_string(),
            Self::Names(names) => {
                let name = names.iter().find(|(_, known)| *known == number);
                name.map_or_else(|| number.to_string(), |(name, _)| (*name).to_owned())
            }
            Self::Flags(names) => {
                let set: Vec<_> = names.iter().filter(|(_, bit)| number & bit != 0).collect();
                let all = set.iter().fold(0, |all, (_, bit)| all | bit);
                match (number, all == number) {
                    (0, _) => "none".to_owned(),
                    (_, true) => set.iter().map(|(name, _)| *name).collect::<Vec<_>>().join("+"),
                    (_, false) => format!("0x{number:x}"),
                }
            }
        }
    }

    /// A number from text; none where it is not one of so many bits.
    pub(crate) fn read(self, text: &str, bits: usize) -> Option<u128> {
        let number = match self {
            Self::Number | Self::Hex => number(text),
            Self::Mac => mac(text),
            Self::Ipv4 => text.parse().ok().map(|address: Ipv4Addr| address.to_bits().into()),
            Self::Ipv6 => text.parse().ok().map(Ipv6Addr::to_bits),
            Self::Names(names) => named(names, text).or_else(|| number(text)),
            Self::Flags(names) => flags(names, text).or_else(|| number(text)),
        };
        number.filter(|number| bits == 128 || *number < 1 << bits)
    }

    /// What a text must be, for those who wrote another one.
    pub(crate) fn expected(self, bits: usize) -> String {
        let most = u128::MAX >> (128 - bits);
        let list = |names: &[(&'static str, u128)]| {
            names.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
        };
        match self {
            Self::Number | Self::Hex => format!("a number from 0 to {most}"),
            Self::Mac => "an address such as 02:00:00:00:00:01".to_owned(),
            Self::Ipv4 => "an address such as 192.0.2.1".to_owned(),
            Self::Ipv6 => "an address such as 2001:db8::1".to_owned(),
            Self::Names(names) => format!("one of {}, or a number from 0 to {most}", list(names)),
            Self::Flags(names) => format!("some of {}, joined by `+`, or `none`, or a number", list(names)),
        }
    }
}

/// A decimal number, or a hexadecimal one behind `0x`.
pub(crate) fn number(text: &str) -> Option<u128> {
    let (digits, base) = text.strip_prefix("0x").map_or((text, 10), |digits| (digits, 16));
    // A sign is no digit.
    let is_number = !digits.is_empty() && digits.chars().all(|digit| digit.is_digit(base));
    is_number.then(|| u128::from_str_radix(digits, base).ok()).flatten()
}

fn named(names: &[(&str, u128)], text: &str) -> Option<u128> {
    names.iter().find(|(name, _)| *name == text).map(|(_, number)| *number)
}

fn flags(names: &[(&str, u128)], text: &str) -> Option<u128> {
    if text == "none" {
        return Some(0);
    }
    text.split('+').map(|name| named(names, name.trim())).try_fold(0, |all, bit| Some(all | bit?))
}

fn mac(text: &str) -> Option<u128> {
    let bytes: Vec<&str> = text.split([':', '-']).collect();
    let is_mac = bytes.len() == 6 && bytes.iter().all(|byte| byte.len() == 2);
    let byte = |byte: &&str| number(&format!("0x{byte}"));
    is_mac.then(|| bytes.iter().try_fold(0, |all, text| Some(all << 8 | byte(text)?))).flatten()
}
