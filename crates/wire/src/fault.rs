// SPDX-License-Identifier: Apache-2.0
//! All that is wrong with a document, at once: each fault with its place, the value there, and why it cannot be.

use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_path_to_error::{Path, Segment};
use toml::de::{DeTable, DeValue};
use utoipa::ToSchema;

/// One thing that is wrong with a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Fault {
    /// Where, as a JSON pointer (RFC 6901): `/chain/0/hook`. Empty for the document itself.
    pub pointer: String,
    /// The value there, as JSON, cut where it is long; left out where the fault is that there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Why it cannot be.
    pub detail: String,
    /// The line of the text, from 1, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
}

/// The most faults that are told of one document.
const MOST: usize = 100;
/// How much of a value is told.
const VALUE_LETTERS: usize = 60;

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = self.line.map(|line| format!("line {line}"));
        let place = (!self.pointer.is_empty()).then(|| {
            let value = self.value.as_ref().map(|value| format!(" = {value}")).unwrap_or_default();
            format!("`{}`{value}", self.pointer)
        });
        let where_it_is: Vec<String> = line.into_iter().chain(place).collect();
        match where_it_is.as_slice() {
            [] => f.write_str(&self.detail),
            parts => write!(f, "{}: {}", parts.join(", "), self.detail),
        }
    }
}

/// A step into a value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Key(String),
    Index(usize),
}

/// Reads a value of JSON, and finds all that is wrong with it: what is, is taken out, and the rest is read again.
///
/// # Errors
/// The faults, in the order of their places; never none.
pub(crate) fn read_all<T: DeserializeOwned>(mut value: Value) -> Result<T, Vec<Fault>> {
    let (mut faults, mut taken) = (Vec::new(), Vec::new());
    let in_order = |mut faults: Vec<(Vec<Part>, Fault)>| {
        // What is taken out moves others around, so that they are met in any order.
        faults.sort_by(|(one, _), (other, _)| one.cmp(other));
        Err(faults.into_iter().map(|(_, fault)| fault).collect())
    };
    loop {
        let error = match serde_path_to_error::deserialize::<_, T>(&value) {
            Ok(read) if faults.is_empty() => return Ok(read),
            Ok(_) => return in_order(faults),
            Err(error) => error,
        };
        let (here, detail) = (place(error.path()), error.inner().to_string());
        let written = as_written(&here, &taken);
        let missing = detail.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`'));
        // What was taken out because of its fault is missed by what is around it.
        let is_follow_up = missing.is_some_and(|field| {
            let field = Part::Key(field.to_owned());
            taken.iter().any(|gone: &Vec<Part>| gone.split_last() == Some((&field, &written[..])))
        });
        if !is_follow_up {
            let found = here.iter().try_fold(&value, step).filter(|_| missing.is_none() && !here.is_empty());
            let value = found.map(|found| shortened(&found.to_string()));
            let fault = Fault { pointer: written.iter().map(pointer).collect(), value, detail, line: None };
            faults.push((written.clone(), fault));
        }
        if faults.len() >= MOST || !take_out(&mut value, &here) {
            return in_order(faults);
        }
        taken.push(written);
    }
}

/// Reads TOML, and finds all that is wrong with it.
///
/// # Errors
/// The faults, with their lines; never none. What is no TOML has one.
pub(crate) fn read_all_of_toml<T: DeserializeOwned>(text: &str) -> Result<T, Vec<Fault>> {
    let unreadable = |error: toml::de::Error| {
        let line = error.span().map(|span| line_at(text, span.start));
        vec![Fault { pointer: String::new(), value: None, detail: error.message().to_owned(), line }]
    };
    let table: toml::Table = toml::from_str(text).map_err(unreadable)?;
    let value = serde_json::to_value(table).map_err(|error| {
        vec![Fault { pointer: String::new(), value: None, detail: error.to_string(), line: None }]
    })?;
    read_all(value).map_err(|mut faults| {
        for fault in &mut faults {
            fault.line = line_of(text, &fault.pointer);
        }
        faults.sort_by_key(|fault| fault.line);
        faults
    })
}

fn place(path: &Path) -> Vec<Part> {
    let part = |segment: &Segment| match segment {
        Segment::Seq { index } => Some(Part::Index(*index)),
        Segment::Map { key } => Some(Part::Key(key.clone())),
        Segment::Enum { .. } | Segment::Unknown => None,
    };
    path.iter().filter_map(part).collect()
}

/// Where something was before elements of lists before it were taken out.
fn as_written(here: &[Part], taken: &[Vec<Part>]) -> Vec<Part> {
    let mut written: Vec<Part> = Vec::new();
    for part in here {
        let Part::Index(index) = part else {
            written.push(part.clone());
            continue;
        };
        let gone = taken.iter().filter_map(|gone| match gone.split_last() {
            Some((Part::Index(index), list)) if *list == written => Some(*index),
            _ => None,
        });
        let mut gone: Vec<usize> = gone.collect();
        gone.sort_unstable();
        let index =
            gone.into_iter().fold(*index, |index, gone| if gone <= index { index + 1 } else { index });
        written.push(Part::Index(index));
    }
    written
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(VALUE_LETTERS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// A part of a JSON pointer (RFC 6901, section 3).
fn pointer(part: &Part) -> String {
    match part {
        Part::Index(index) => format!("/{index}"),
        Part::Key(key) => format!("/{}", key.replace('~', "~0").replace('/', "~1")),
    }
}

fn step<'a>(value: &'a Value, part: &Part) -> Option<&'a Value> {
    match part {
        Part::Index(index) => value.get(index),
        Part::Key(key) => value.get(key),
    }
}

/// Takes out what is at a place. Returns whether there was anything.
fn take_out(value: &mut Value, place: &[Part]) -> bool {
    let Some((last, around)) = place.split_last() else { return false };
    let found = around.iter().try_fold(value, |value, part| match part {
        Part::Index(index) => value.get_mut(index),
        Part::Key(key) => value.get_mut(key),
    });
    match (found, last) {
        (Some(Value::Object(map)), Part::Key(key)) => map.remove(key).is_some(),
        (Some(Value::Array(elements)), Part::Index(index)) if *index < elements.len() => {
            elements.remove(*index);
            true
        }
        _ => false,
    }
}

fn line_of(text: &str, pointer: &str) -> Option<usize> {
    let table = DeTable::parse(text).ok()?;
    let mut span = None;
    let mut value = DeValue::Table(table.into_inner());
    for part in pointer.split('/').skip(1) {
        let part = part.replace("~1", "/").replace("~0", "~");
        let found = match value {
            DeValue::Table(mut table) => table.remove(part.as_str())?,
            DeValue::Array(list) => list.into_iter().nth(part.parse().ok()?)?,
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_) => return None,
        };
        span = Some(found.span());
        value = found.into_inner();
    }
    span.map(|span| line_at(text, span.start))
}

fn line_at(text: &str, offset: usize) -> usize {
    text.as_bytes().iter().take(offset).filter(|byte| **byte == b'\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Document;

    fn told<T>(read: Result<T, Vec<Fault>>) -> String {
        let faults = read.err().unwrap_or_default();
        faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    }

    const WRONG: &str = r#"
colour = "red"

[[chain]]
interface = "eth*/0"
hook = "xpd"
drift = 5

[[chain]]
hook = "xdp"
[[chain.member]]
name = "A"
package = "file:/a"
[[chain.member]]
name = "b"
package = "file:/b"
proceed = ["pass", 1]
config = { limit = [1] }

[[chain]]
interface = "eth0"
hook = "tc"

[[probe]]
package = 7
"#;

    #[test]
    fn all_faults_of_a_document_are_told_with_place_value_and_line() {
        insta::assert_snapshot!(told(read_all_of_toml::<Document>(WRONG)), @r#"
        line 2, `/colour` = "red": unknown field `colour`, expected one of `deployment`, `chain`, `probe`, `check`, `l3afd`
        line 5, `/chain/0/interface` = "eth*/0": `eth*/0` is not a pattern for interfaces: names have 1 to 15 bytes without `/`, `:` or blanks
        line 6, `/chain/0/hook` = "xpd": unknown variant `xpd`, expected one of `xdp`, `tc-ingress`, `tc-egress`
        line 7, `/chain/0/drift` = 5: invalid type: integer `5`, expected string or map
        line 9, `/chain/1`: missing field `interface`
        line 12, `/chain/1/member/0/name` = "A": `A` is not a member name: it must be 1 to 63 lower-case letters, digits and dashes, and neither begin nor end with a dash
        line 17, `/chain/1/member/1/proceed/1` = 1: invalid type: integer `1`, expected a string
        line 22, `/chain/2/hook` = "tc": unknown variant `tc`, expected one of `xdp`, `tc-ingress`, `tc-egress`
        line 24, `/probe/0`: missing field `name`
        line 25, `/probe/0/package` = 7: invalid type: integer `7`, expected a string
        "#);
    }

    #[test]
    fn what_is_no_toml_has_one_fault() {
        insta::assert_snapshot!(told(read_all_of_toml::<Document>("a = 1\nb = [\n")), @"line 2: unclosed array, expected `]`");
    }

    #[test]
    fn a_document_without_faults_is_read() {
        let text = "[[chain]]\ninterface = \"eth0\"\nhook = \"xdp\"\n";
        assert_eq!(read_all_of_toml::<Document>(text).unwrap(), Document::parse_toml(text).unwrap());
    }
}
