// SPDX-License-Identifier: Apache-2.0
//! Secrets that the hub gives out: tokens, sessions, one-time links. Each is shown once, and only its digest is kept.
//!
//! A secret begins with `l3af_` and ends with a checksum, so that scanners of source code tell one from any other text
//! without asking anybody (docs/hub-access.md has the expression).

use std::fmt;

use aws_lc_rs::rand;

use crate::{Algorithm, ContentDigest};

/// What every secret begins with.
pub(crate) const PREFIX: &str = "l3af_";
/// How many random letters follow, some 178 bits.
const LETTERS: usize = 30;
/// How many letters the checksum has.
const CHECK: usize = 6;
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A secret that somebody shows, or is shown once. Never printed by accident.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(String);

impl Secret {
    /// Makes one that nobody can guess.
    pub(crate) fn random() -> Self {
        let mut letters = String::with_capacity(LETTERS);
        while letters.len() < LETTERS {
            let mut bytes = [0; LETTERS];
            rand::fill(&mut bytes).expect("the kernel gives random bytes");
            // Of 256 values 248 are four times the alphabet: with the others some letters would come more often.
            let fit = bytes.iter().filter(|byte| **byte < 248);
            letters.extend(fit.map(|byte| char::from(ALPHABET[usize::from(byte % 62)])));
        }
        letters.truncate(LETTERS);
        let check = checksum(&letters);
        Self(format!("{PREFIX}{letters}{check}"))
    }

    /// Takes a text that somebody shows; none if the hub never made such a text.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let rest = text.strip_prefix(PREFIX)?;
        let (letters, check) = rest.split_at_checked(LETTERS)?;
        (checksum(letters) == check).then(|| Self(text.to_owned()))
    }

    /// What is kept of it. A secret has too many bits to be found by trying, so that a fast digest does.
    pub(crate) fn digest(&self) -> String {
        ContentDigest::of(Algorithm::Sha256, self.0.as_bytes()).hex().to_owned()
    }

    /// The text, to be shown to whom it is for.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

/// Says that there is one.
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}…")
    }
}

/// CRC-32 of the letters, in letters.
fn checksum(letters: &str) -> String {
    let mut rest = crc32fast::hash(letters.as_bytes());
    let mut check = [b'0'; CHECK];
    for letter in check.iter_mut().rev() {
        *letter = ALPHABET[(rest % 62) as usize];
        rest /= 62;
    }
    check.iter().copied().map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_known_by_its_form_and_none_is_like_another() {
        let (one, other) = (Secret::random(), Secret::random());
        assert_ne!(one, other);
        assert_eq!(one.reveal().len(), PREFIX.len() + LETTERS + CHECK);
        assert_eq!(Secret::read(one.reveal()), Some(one.clone()));
        assert!(!format!("{one:?}").contains(&one.reveal()[PREFIX.len()..]));
    }

    #[test]
    fn a_text_with_a_wrong_letter_is_no_secret() {
        let secret = Secret::random();
        let text = secret.reveal();
        for at in PREFIX.len()..text.len() {
            let mut bytes = text.as_bytes().to_vec();
            bytes[at] = if bytes[at] == b'a' { b'b' } else { b'a' };
            assert_eq!(Secret::read(std::str::from_utf8(&bytes).unwrap()), None, "at {at}");
        }
        for text in ["", "l3af_", "l3af_é", &text[1..], &format!("{text}0")] {
            assert_eq!(Secret::read(text), None, "`{text}`");
        }
    }
}
