// SPDX-License-Identifier: Apache-2.0
//! Ranges of bytes: those that are asked for (`Range`, RFC 9110 section 14), and those of pieces that are uploaded
//! (`Content-Range` as the distribution specification has it: `0-1023`).

use std::ops::Range;

/// What a `Range` asks of a blob.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// All of it: nothing is asked, or what a server may ignore.
    Whole,
    /// A part of it.
    Part(Range<u64>),
    /// What is not there.
    Nothing,
}

/// What a `Range` asks of a blob of this size. Several ranges at once are answered with all of it, which RFC 9110 permits.
pub(super) fn asked(header: Option<&str>, size: u64) -> Asked {
    let Some(given) = header.and_then(|header| header.trim().strip_prefix("bytes=")) else {
        return Asked::Whole;
    };
    if given.contains(',') {
        return Asked::Whole;
    }
    let Some((first, last)) = given.trim().split_once('-') else { return Asked::Whole };
    match (number(first), number(last)) {
        (Some(first), None) if last.is_empty() && first < size => Asked::Part(first..size),
        (None, Some(count)) if first.is_empty() && count > 0 && size > 0 => {
            Asked::Part(size.saturating_sub(count)..size)
        }
        (Some(first), Some(last)) if first <= last && first < size => {
            Asked::Part(first..last.saturating_add(1).min(size))
        }
        (Some(_), _) | (_, Some(_)) => Asked::Nothing,
        (None, None) => Asked::Whole,
    }
}

/// The range of a piece of an upload.
pub(super) fn of_piece(header: &str) -> Option<Range<u64>> {
    let given = header.trim();
    let given = given.strip_prefix("bytes").map_or(given, |rest| rest.trim_start_matches([' ', '=']));
    let given = given.split('/').next().unwrap_or(given);
    let (first, last) = given.split_once('-')?;
    let (first, last) = (number(first)?, number(last)?);
    (first <= last).then(|| first..last.saturating_add(1))
}

/// Digits and nothing else: no sign, no blank.
fn number(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::{Asked, asked, of_piece};

    #[test]
    fn what_is_asked_of_a_blob_lies_in_it() {
        for (header, is) in [
            ("bytes=500-1499", Asked::Part(500..1499 + 1)),
            ("bytes=500-", Asked::Part(500..3000)),
            ("bytes=-500", Asked::Part(2500..3000)),
            ("bytes=-5000", Asked::Part(0..3000)),
            ("bytes=2000-5000", Asked::Part(2000..3000)),
            ("bytes=0-18446744073709551615", Asked::Part(0..3000)),
            ("bytes=500-0", Asked::Nothing),
            ("bytes=3000-", Asked::Nothing),
            ("bytes=3000-4000", Asked::Nothing),
            ("bytes=-0", Asked::Nothing),
            ("bytes=0-1,5-6", Asked::Whole),
            ("bytes=a-b", Asked::Whole),
            ("lines=1-2", Asked::Whole),
        ] {
            assert_eq!(asked(Some(header), 3000), is, "{header}");
        }
        assert_eq!(asked(None, 3000), Asked::Whole);
        assert_eq!(asked(Some("bytes=-5"), 0), Asked::Nothing);
    }

    #[test]
    fn ranges_of_pieces_are_read_as_clients_write_them() {
        assert_eq!(of_piece("0-9"), Some(0..10));
        assert_eq!(of_piece("bytes 10-19/*"), Some(10..20));
        assert_eq!(of_piece("bytes=10-19"), Some(10..20));
        for bad in ["", "9-0", "a-b", "-5", "5-", "+1-2"] {
            assert_eq!(of_piece(bad), None, "{bad}");
        }
    }
}
