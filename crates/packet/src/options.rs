// SPDX-License-Identifier: Apache-2.0
//! Options of TCP (RFC 9293, 3.2; RFC 7323; RFC 2018) as text: `mss:1460+sack_ok+ts:1:0+nop+wscale:7`. Others are `0x` and their bytes.

use crate::{bytes, field};

const END: u8 = 0;
const NOP: u8 = 1;
const MSS: [u8; 2] = [2, 4];
const WSCALE: [u8; 2] = [3, 3];
const SACK_OK: [u8; 2] = [4, 2];
const TS: [u8; 2] = [8, 10];

/// What options can be, for those who wrote something else.
pub(crate) const EXPECTED: &str =
    "options joined by `+`: mss:1460, wscale:7, sack_ok, ts:1:0, nop, end, or 0x and their bytes";

/// Options as text.
pub(crate) fn show(mut options: &[u8]) -> String {
    let mut told = Vec::new();
    while !options.is_empty() {
        let (text, rest) = match options {
            [END, rest @ ..] => ("end".to_owned(), rest),
            [NOP, rest @ ..] => ("nop".to_owned(), rest),
            [2, 4, high, low, rest @ ..] => (format!("mss:{}", u16::from_be_bytes([*high, *low])), rest),
            [3, 3, shift, rest @ ..] => (format!("wscale:{shift}"), rest),
            [4, 2, rest @ ..] => ("sack_ok".to_owned(), rest),
            [8, 10, rest @ ..] if rest.len() >= 8 => {
                let word = |bytes: &[u8]| bytes.iter().fold(0_u32, |word, byte| word << 8 | u32::from(*byte));
                (format!("ts:{}:{}", word(&rest[..4]), word(&rest[4..8])), &rest[8..])
            }
            other => (bytes::hex(other), &[][..]),
        };
        told.push(text);
        options = rest;
    }
    if told.is_empty() { "0x".to_owned() } else { told.join("+") }
}

/// Options from text.
pub(crate) fn read(text: &str) -> Option<Vec<u8>> {
    let mut options = Vec::new();
    for word in text.split('+') {
        let mut parts = word.trim().split(':');
        let name = parts.next()?;
        let numbers: Option<Vec<u128>> = parts.map(field::number).collect();
        let numbers = numbers?;
        match (name, numbers.as_slice()) {
            ("end", []) => options.push(END),
            ("nop", []) => options.push(NOP),
            ("sack_ok", []) => options.extend(SACK_OK),
            ("mss", [size]) => {
                options.extend(MSS);
                options.extend(u16::try_from(*size).ok()?.to_be_bytes());
            }
            ("wscale", [shift]) => {
                options.extend(WSCALE);
                options.push(u8::try_from(*shift).ok()?);
            }
            ("ts", [value, echo]) => {
                options.extend(TS);
                options.extend(u32::try_from(*value).ok()?.to_be_bytes());
                options.extend(u32::try_from(*echo).ok()?.to_be_bytes());
            }
            (raw, []) => options.extend(bytes::of_digits(raw.strip_prefix("0x")?)?),
            _ => return None,
        }
    }
    Some(options)
}
