// SPDX-License-Identifier: Apache-2.0
//! A query in the words of each database.

use std::fmt::Write as _;

use super::rank::Fit;
use crate::database::Kind;

/// What is looked for: groups of words, of each of which one must be there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Query {
    /// For each word that was typed, what is taken for it.
    pub(super) words: Vec<Vec<String>>,
    /// For each facet, the words of its values, one of which it must have.
    pub(super) facets: Vec<Vec<String>>,
}

/// Where a word must be.
#[derive(Clone, Copy)]
enum Part {
    Fit(Fit),
    Facet,
}

impl Query {
    /// The ways in which a document can fit, the best first. Without words all fit alike.
    pub(super) fn fits(&self) -> &'static [Fit] {
        if self.words.is_empty() { &[Fit::Somewhere] } else { &Fit::ALL }
    }

    /// What finds the documents that fit in this way and in no better one.
    pub(super) fn expression(&self, kind: Kind, fit: Fit) -> String {
        let must: Vec<String> = self.facets.iter().map(|values| any(kind, Part::Facet, values)).collect();
        let fitting = self.fitting(kind, fit);
        let must = all(kind, must.into_iter().chain(fitting));
        let better = Fit::ALL.into_iter().filter(|better| *better < fit);
        let better: Vec<String> = better.filter_map(|better| self.fitting(kind, better)).collect();
        match (kind, better.is_empty()) {
            (_, true) => must,
            (Kind::Sqlite, false) => format!("({must}) NOT ({})", better.join(" OR ")),
            (Kind::Postgres, false) => format!("({must}) & !({})", better.join(" | ")),
        }
    }

    /// That all words are where this asks for them.
    fn fitting(&self, kind: Kind, fit: Fit) -> Option<String> {
        if self.words.is_empty() {
            return None;
        }
        if fit == Fit::Exact {
            // Of what is taken for a word, the first is the best.
            let name: String =
                self.words.iter().filter_map(|taken| taken.first()).map(String::as_str).collect();
            return Some(any(kind, Part::Fit(fit), &[name]));
        }
        Some(all(kind, self.words.iter().map(|taken| any(kind, Part::Fit(fit), taken))))
    }
}

fn all(kind: Kind, parts: impl Iterator<Item = String>) -> String {
    let and = if kind == Kind::Sqlite { " AND " } else { " & " };
    parts.collect::<Vec<_>>().join(and)
}

/// That one of these words is there. Words have letters and digits only.
fn any(kind: Kind, part: Part, words: &[String]) -> String {
    let mut text = match kind {
        Kind::Sqlite => format!("{{{}}} : (", columns(part)),
        Kind::Postgres => "(".to_owned(),
    };
    for (at, word) in words.iter().enumerate() {
        let between = match (kind, at) {
            (_, 0) => "",
            (Kind::Sqlite, _) => " OR ",
            (Kind::Postgres, _) => " | ",
        };
        let written = match kind {
            Kind::Sqlite => write!(text, "{between}\"{word}\""),
            Kind::Postgres => write!(text, "{between}'{word}':{}", weights(part)),
        };
        written.expect("a string takes all that is written");
    }
    text.push(')');
    text
}

fn columns(part: Part) -> &'static str {
    match part {
        Part::Fit(Fit::Exact) => "exact",
        Part::Fit(Fit::Name) => "name",
        Part::Fit(Fit::Tags) => "name tags",
        Part::Fit(Fit::Somewhere) => "name tags body",
        Part::Facet => "facets",
    }
}

/// The weights of a `tsvector` that stand for these columns.
fn weights(part: Part) -> &'static str {
    match part {
        Part::Fit(Fit::Exact) => "A",
        Part::Fit(Fit::Name) => "B",
        Part::Fit(Fit::Tags) => "BC",
        Part::Fit(Fit::Somewhere) => "BCD",
        Part::Facet => "D",
    }
}

#[cfg(test)]
mod tests {
    use super::Query;
    use crate::database::Kind;
    use crate::search::rank::Fit;

    fn query() -> Query {
        let group = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        Query { words: vec![group(&["rate"]), group(&["limit", "limits"])], facets: vec![group(&["xfe"])] }
    }

    #[test]
    fn what_fits_better_is_left_out() {
        assert_eq!(
            query().expression(Kind::Sqlite, Fit::Name),
            r#"({facets} : ("xfe") AND {name} : ("rate") AND {name} : ("limit" OR "limits")) NOT ({exact} : ("ratelimit"))"#
        );
        assert_eq!(
            query().expression(Kind::Postgres, Fit::Name),
            "(('xfe':D) & ('rate':B) & ('limit':B | 'limits':B)) & !(('ratelimit':A))"
        );
    }

    #[test]
    fn without_words_all_fit_alike() {
        let browse = Query { words: Vec::new(), ..query() };
        assert_eq!(browse.fits(), [Fit::Somewhere]);
        assert_eq!(browse.expression(Kind::Sqlite, Fit::Somewhere), r#"{facets} : ("xfe")"#);
    }
}
