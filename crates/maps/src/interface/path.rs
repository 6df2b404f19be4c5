// SPDX-License-Identifier: Apache-2.0
//! Paths to parts of a map: `key`, `value.rate`, `value.rates[]`.

/// Where a path begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    Key,
    Value,
    Event,
}

/// A step of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step<'a> {
    /// A field, by its name in the source.
    Field(&'a str),
    /// All elements of an array.
    Each,
}

/// Reads a path.
pub(super) fn parse(path: &str) -> Option<(Start, Vec<Step<'_>>)> {
    let mut steps = Vec::new();
    for part in path.split('.') {
        let name = part.trim_end_matches("[]");
        let plain = !name.is_empty() && !name.contains(['[', ']']);
        if !plain {
            return None;
        }
        steps.push(Step::Field(name));
        steps.extend(std::iter::repeat_n(Step::Each, (part.len() - name.len()) / 2));
    }
    let start = match steps.first()? {
        Step::Field("key") => Start::Key,
        Step::Field("value") => Start::Value,
        Step::Field("event") => Start::Event,
        Step::Field(_) | Step::Each => return None,
    };
    steps.remove(0);
    Some((start, steps))
}
