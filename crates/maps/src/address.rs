// SPDX-License-Identifier: Apache-2.0
//! Addresses, prefixes and bytes as text.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use crate::{Endian, Family};

/// An address of Ethernet, as `02:00:00:00:00:01`.
pub(crate) struct Mac(pub(crate) [u8; 6]);

/// Bytes in hexadecimal, as they lie.
pub(crate) struct Hex<'a>(pub(crate) &'a [u8]);

/// A prefix, as `10.0.0.0/8`: the bytes of its key.
pub(crate) struct PrefixText<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) family: Family,
    pub(crate) endian: Endian,
}

/// How many bytes the length of a prefix takes in front of it.
const LENGTH_BYTES: usize = 4;

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, byte) in self.0.iter().enumerate() {
            let between = if at == 0 { "" } else { ":" };
            write!(f, "{between}{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("0x")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Display for PrefixText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (length, held) = self.bytes.split_at(LENGTH_BYTES.min(self.bytes.len()));
        match (self.family, held.first_chunk::<4>(), held.first_chunk::<16>()) {
            (Family::Ipv4, Some(held), _) => Ipv4Addr::from(*held).fmt(f)?,
            (Family::Ipv6, _, Some(held)) => Ipv6Addr::from(*held).fmt(f)?,
            _ => Hex(held).fmt(f)?,
        }
        write!(f, "/{}", self.endian.read(length))
    }
}

/// The address that two bytes each of hexadecimal digits, between colons or dashes, are.
pub(crate) fn mac(text: &str) -> Option<[u8; 6]> {
    let parts: Vec<&str> = text.split([':', '-']).collect();
    let parts: [&str; 6] = parts.try_into().ok()?;
    let mut address = [0; 6];
    for (byte, part) in address.iter_mut().zip(parts) {
        *byte = (part.len() == 2).then(|| hex_byte(part))??;
    }
    Some(address)
}

/// The bytes that hexadecimal digits are, where they are as many as there should be.
pub(crate) fn hex(text: &str, bytes: usize) -> Option<Vec<u8>> {
    let digits = text.strip_prefix("0x").filter(|digits| digits.len() == bytes * 2 && digits.is_ascii())?;
    let pairs = digits.as_bytes().chunks(2);
    pairs.map(|pair| hex_byte(str::from_utf8(pair).ok()?)).collect()
}

fn hex_byte(pair: &str) -> Option<u8> {
    let digits = pair.bytes().all(|byte| byte.is_ascii_hexdigit());
    digits.then(|| u8::from_str_radix(pair, 16).ok()).flatten()
}

/// An address of IPv6, or one of IPv4 as one of IPv6.
pub(crate) fn ip(text: &str) -> Option<[u8; 16]> {
    match text.parse::<Ipv4Addr>() {
        Ok(short) => Some(short.to_ipv6_mapped().octets()),
        Err(_) => text.parse::<Ipv6Addr>().ok().map(|long| long.octets()),
    }
}

/// Clears the bits of the key of a trie that are behind its length.
pub(crate) fn clear_behind_prefix(key: &mut [u8], endian: Endian) {
    let (length, held) = key.split_at_mut(LENGTH_BYTES.min(key.len()));
    let length = usize::try_from(endian.read(length)).unwrap_or(usize::MAX);
    for (at, byte) in held.iter_mut().enumerate() {
        let kept = length.saturating_sub(at * 8).min(8);
        *byte &= u8::MAX.checked_shl(8 - u32::try_from(kept).unwrap_or(8)).unwrap_or(0);
    }
}

/// The key of a prefix. Without a length, it is as long as it can be.
pub(crate) fn prefix(text: &str, family: Family, bytes: usize, endian: Endian) -> Option<Vec<u8>> {
    let (address, length) =
        text.split_once('/').map_or((text, None), |(address, length)| (address, Some(length)));
    let room = bytes.checked_sub(LENGTH_BYTES)?;
    let held = match family {
        Family::Ipv4 => address.parse::<Ipv4Addr>().ok()?.octets().to_vec(),
        Family::Ipv6 => address.parse::<Ipv6Addr>().ok()?.octets().to_vec(),
        Family::Hex => hex(address, room)?,
    };
    let most = u32::try_from(room * 8).ok()?;
    let length = match length {
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.parse::<u32>().ok()?,
        Some(_) => return None,
        None => most,
    };
    let mut key = vec![0; LENGTH_BYTES];
    endian.write(length.into(), &mut key);
    key.extend(held);
    (length <= most && key.len() == bytes).then_some(key)
}
