// SPDX-License-Identifier: Apache-2.0
//! Texts that hold keys and certificates (RFC 7468): several blocks in one text, and nothing else than blocks.

use pkcs8::der::pem::{LineEnding, decode_vec, encode_string};
use thiserror::Error;
use zeroize::Zeroizing;

/// More than any key or chain of certificates needs.
pub(crate) const MAX_TEXT_BYTES: usize = 256 * 1024;

/// One block. What it holds may be secret, so it is cleared.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) label: String,
    pub(crate) der: Zeroizing<Vec<u8>>,
}

/// A text is not made of blocks.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BadPem {
    /// There are too many letters.
    #[error("the text has {bytes} bytes, more than {MAX_TEXT_BYTES}")]
    TooLarge {
        /// How many.
        bytes: usize,
    },
    /// A block is damaged, or the text is something else.
    #[error("it is not PEM (`-----BEGIN ...-----`): {problem}")]
    Syntax {
        /// What is wrong.
        problem: String,
    },
}

/// The blocks of a text, in their order.
pub(crate) fn blocks(text: &str) -> Result<Vec<Block>, BadPem> {
    const END: &str = "-----END ";
    if text.len() > MAX_TEXT_BYTES {
        return Err(BadPem::TooLarge { bytes: text.len() });
    }
    let mut blocks = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let unended = || BadPem::Syntax { problem: "a block does not end".to_owned() };
        let end = rest.find(END).ok_or_else(unended)?;
        let line = rest[end..].find('\n').map_or(rest.len(), |at| end + at);
        let (label, der) = decode_vec(rest[..line].trim_end().as_bytes())
            .map_err(|error| BadPem::Syntax { problem: error.to_string() })?;
        blocks.push(Block { label: label.to_owned(), der: Zeroizing::new(der) });
        rest = rest[line..].trim_start();
    }
    Ok(blocks)
}

/// The text of one block.
pub(crate) fn encode(label: &'static str, der: &[u8]) -> String {
    encode_string(label, LineEnding::LF, der).expect("a label of ours, and a length that fits")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_read_as_they_are_written() {
        let text = encode("PUBLIC KEY", &[7; 100]) + &encode("CERTIFICATE", b"x");
        let read = blocks(&text).unwrap();
        assert_eq!(
            read.iter().map(|block| block.label.as_str()).collect::<Vec<_>>(),
            ["PUBLIC KEY", "CERTIFICATE"]
        );
        assert_eq!((read[0].der.as_slice(), read[1].der.as_slice()), (&[7; 100][..], &b"x"[..]));
        assert_eq!(blocks(" \n").unwrap().len(), 0);
    }

    #[test]
    fn texts_that_are_no_blocks_are_refused() {
        let refused = |text: &str| blocks(text).unwrap_err().to_string();
        insta::assert_snapshot!(refused("x"), @"it is not PEM (`-----BEGIN ...-----`): a block does not end");
        assert!(blocks("-----BEGIN A-----\n!\n-----END A-----").is_err());
        assert!(blocks("-----BEGIN A-----\nAAAA\n-----END B-----").is_err());
        assert!(blocks(&" ".repeat(MAX_TEXT_BYTES + 1)).is_err());
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text: String, label in "[A-Z ]{0,9}") {
            drop(blocks(&text));
            drop(blocks(&format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n{text}")));
        }
    }
}
