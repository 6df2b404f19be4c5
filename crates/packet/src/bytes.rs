// SPDX-License-Identifier: Apache-2.0
//! Bytes as text: `0xdead`, `"text"`, or one of them so many times, as in `0x00*64`.

use std::fmt::Write as _;

/// As many equal bytes are told by their number.
const MANY: usize = 9;

/// Bytes as text.
pub(crate) fn show(bytes: &[u8]) -> String {
    match bytes {
        [first, ..] if bytes.len() >= MANY && bytes.iter().all(|byte| byte == first) => {
            format!("0x{first:02x}*{}", bytes.len())
        }
        [_, ..] if bytes.iter().all(|byte| matches!(byte, b' '..=b'~' | b'\r' | b'\n' | b'\t')) => {
            let text: String = bytes.iter().copied().map(char::from).map(spelled).collect();
            format!("\"{text}\"")
        }
        _ => hex(bytes),
    }
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold("0x".to_owned(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes all");
        text
    })
}

fn spelled(letter: char) -> String {
    match letter {
        '"' => "\\\"".to_owned(),
        '\\' => "\\\\".to_owned(),
        '\r' => "\\r".to_owned(),
        '\n' => "\\n".to_owned(),
        '\t' => "\\t".to_owned(),
        other => other.to_string(),
    }
}

/// What a letter behind `\` stands for.
pub(crate) fn unspelled(letter: char) -> Option<u8> {
    match letter {
        '"' => Some(b'"'),
        '\\' => Some(b'\\'),
        'r' => Some(b'\r'),
        'n' => Some(b'\n'),
        't' => Some(b'\t'),
        '0' => Some(0),
        _ => None,
    }
}

/// The bytes of hexadecimal digits, two for each.
pub(crate) fn of_digits(digits: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> =
        digits.chars().map(|digit| digit.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
    let digits = digits.filter(|digits| digits.len() % 2 == 0)?;
    Some(digits.chunks(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit)).collect())
}
