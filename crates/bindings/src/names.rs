// SPDX-License-Identifier: Apache-2.0
//! Names: made of what people wrote, as each language spells them, legal and each one once.

use std::collections::BTreeSet;

/// How the words of a name are joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Case {
    /// `due_ns`
    Snake,
    /// `DueNs`
    Camel,
    /// `DUE_NS`
    Upper,
}

impl Case {
    /// A name of these words.
    pub(crate) fn join<T: AsRef<str>>(self, words: &[T]) -> String {
        let words: Vec<String> = words.iter().flat_map(|word| split(word.as_ref())).collect();
        let joined = match self {
            Self::Snake => words.join("_").to_lowercase(),
            Self::Upper => words.join("_").to_uppercase(),
            Self::Camel => words.iter().map(|word| capital(word)).collect(),
        };
        let legal = joined.starts_with(|first: char| first.is_ascii_alphabetic());
        match (legal, self) {
            (true, _) => joined,
            (false, Self::Snake) => format!("n{joined}"),
            (false, Self::Camel | Self::Upper) => format!("N{joined}"),
        }
    }
}

/// The words in a name: between signs, and where a small letter is followed by a great one.
fn split(name: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut small = false;
    for letter in name.chars() {
        let ends = !letter.is_ascii_alphanumeric() || small && letter.is_ascii_uppercase();
        if ends && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        if letter.is_ascii_alphanumeric() {
            word.push(letter);
        }
        small = letter.is_ascii_lowercase();
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// A word with a great first letter; one that is great all through becomes small but for that.
fn capital(word: &str) -> String {
    let word = if word.chars().any(|letter| letter.is_ascii_lowercase()) {
        word.to_owned()
    } else {
        word.to_lowercase()
    };
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_ascii_uppercase().to_string() + letters.as_str())
}

/// The names that are given in one place.
#[derive(Debug)]
pub(crate) struct Taken {
    names: BTreeSet<String>,
}

impl Taken {
    /// None but those that a language or what surrounds them has.
    pub(crate) fn but(reserved: &[&str]) -> Self {
        Self { names: reserved.iter().map(|name| (*name).to_owned()).collect() }
    }

    /// Gives a name: the one that is wanted, or it with something behind it.
    pub(crate) fn give(&mut self, wanted: String) -> String {
        if self.names.insert(wanted.clone()) {
            return wanted;
        }
        let others =
            std::iter::once(format!("{wanted}_")).chain((2..).map(|number| format!("{wanted}_{number}")));
        let free = others.into_iter().find(|name| self.names.insert(name.clone()));
        free.expect("there is no end of numbers")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_joined_as_each_language_has_it() {
        let all = |name: &str| [Case::Snake, Case::Camel, Case::Upper].map(|case| case.join(&[name]));
        assert_eq!(all("due_ns"), ["due_ns", "DueNs", "DUE_NS"]);
        assert_eq!(all("srcAddr"), ["src_addr", "SrcAddr", "SRC_ADDR"]);
        assert_eq!(all("TCP_SYN"), ["tcp_syn", "TcpSyn", "TCP_SYN"]);
        assert_eq!(all(".bss"), ["bss", "Bss", "BSS"]);
        assert_eq!(all("4 of them"), ["n4_of_them", "N4OfThem", "N4_OF_THEM"]);
        assert_eq!(all("größe"), ["gr_e", "GrE", "GR_E"]);
        assert_eq!(all(""), ["n", "N", "N"]);
    }

    #[test]
    fn each_name_is_given_once() {
        let mut taken = Taken::but(&["type"]);
        let given = ["type", "a", "a", "a", "type"].map(|name| taken.give(name.to_owned()));
        assert_eq!(given, ["type_", "a", "a_", "a_2", "type_2"]);
    }
}
