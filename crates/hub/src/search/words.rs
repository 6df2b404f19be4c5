// SPDX-License-Identifier: Apache-2.0
//! From text to the words that are searched. The databases are given these words and split nothing themselves, so that both find the
//! same.

use std::collections::BTreeSet;

use crate::{Algorithm, ContentDigest};

/// Longer words are cut, in letters.
const LONGEST: usize = 32;
/// Shorter words are taken as they are: nearly all others are one letter away.
pub(super) const SHORTEST_MENDED: usize = 4;

/// The words of a text in small letters, in their order.
pub(super) fn words(text: &str) -> Vec<String> {
    let parts = text.split(|letter: char| !letter.is_alphanumeric()).filter(|part| !part.is_empty());
    parts.map(|part| part.chars().take(LONGEST).flat_map(char::to_lowercase).collect()).collect()
}

/// A value of a facet as one word that no text has: 64 bits are enough for that.
pub(super) fn facet_word(facet: &str, value: &str) -> String {
    let digest = ContentDigest::of(Algorithm::Sha256, format!("{facet}={value}").as_bytes());
    format!("x{}", &digest.hex()[..16])
}

/// A word whole, and without each of its letters. A word with a mistake has one of these in common with the right one, whether a
/// letter is missing, too many, another, or two are swapped.
pub(super) fn variants(word: &str) -> BTreeSet<String> {
    let letters: Vec<char> = word.chars().collect();
    let mut variants = BTreeSet::from([word.to_owned()]);
    if letters.len() >= SHORTEST_MENDED {
        let without = |left_out: usize| {
            letters.iter().enumerate().filter(|(at, _)| *at != left_out).map(|(_, letter)| letter).collect()
        };
        variants.extend((0..letters.len()).map(without));
    }
    variants
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use strsim::osa_distance;

    use super::{SHORTEST_MENDED, facet_word, variants, words};

    #[test]
    fn text_is_split_where_letters_end() {
        assert_eq!(
            words("Rate-limits UDP/TCP, über 10Gbit."),
            ["rate", "limits", "udp", "tcp", "über", "10gbit"]
        );
        assert!(words(" -/ ").is_empty());
    }

    #[test]
    fn values_of_different_facets_are_different_words() {
        assert_ne!(facet_word("hook", "xdp"), facet_word("tag", "xdp"));
        assert_eq!(words(&facet_word("hook", "xdp")).len(), 1);
    }

    proptest! {
        #[test]
        fn words_that_are_one_mistake_apart_have_a_variant_in_common(word in "[a-z]{5,12}", at: usize, letter in "[a-z]", kind in 0..4) {
            let mut letters: Vec<char> = word.chars().collect();
            let at = at % (letters.len() - 1);
            match kind {
                0 => letters.swap(at, at + 1),
                1 => drop(letters.remove(at)),
                2 => letters.insert(at, letter.chars().next().expect("one")),
                _ => letters[at] = letter.chars().next().expect("one"),
            }
            let other: String = letters.into_iter().collect();
            prop_assert!(other.len() >= SHORTEST_MENDED && osa_distance(&word, &other) <= 1);
            prop_assert!(!variants(&word).is_disjoint(&variants(&other)), "{word} and {other}");
        }
    }
}
