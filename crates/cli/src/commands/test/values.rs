// SPDX-License-Identifier: Apache-2.0
//! Keys and values of maps: whether they are ones, and whether those that were read are those that were expected.

use maps::{Endian, Faults, Map};
use serde_json::Value;

use super::case::Entry;
use crate::failure::{Failure, Outcome};

/// The byte order of this machine. Programs run on it, or on one that is told of differences only.
const HERE: Endian = if cfg!(target_endian = "big") { Endian::Big } else { Endian::Little };

/// The map of a name.
pub(super) fn find<'m>(maps: &'m [Map], name: &str) -> Result<&'m Map, Failure> {
    let names: Vec<String> = maps.iter().map(|map| format!("`{}`", map.name)).collect();
    let known = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    let missing =
        || Failure::new(format!("there is no map `{name}`")).with_hint(format!("the program has {known}"));
    let map = maps.iter().find(|map| map.name == name).ok_or_else(missing)?;
    if map.value.is_none() || !map.kind.has_entries() {
        return Err(Failure::new(format!(
            "the map `{name}` is of the kind `{}`, which has no entries of keys and values",
            map.kind
        )));
    }
    Ok(map)
}

/// Refuses entries that the map does not hold.
pub(super) fn check_entries(map: &Map, entries: &[Value]) -> Outcome {
    if map.variables.is_some() {
        let why =
            format!("`{}` is a section of global variables, which begin as the program has them", map.name);
        return Err(Failure::new(why).with_hint("constants are given under `config`"));
    }
    for (number, entry) in entries.iter().enumerate() {
        let place = format!("maps.{}, entry {}", map.name, number + 1);
        map.encode(entry, HERE).map_err(|faults| unfit(&place, &faults))?;
    }
    Ok(())
}

/// Refuses what no entry of the map can be.
pub(super) fn check_entry(map: &Map, entry: &Entry) -> Outcome {
    let name = &map.name;
    match (&map.key, &entry.key) {
        (Some(is), Some(key)) => {
            is.encode(key, HERE).map_err(|faults| unfit(&format!("the key of `{name}`"), &faults))?;
        }
        (None, None) => {}
        (Some(_), None) => return Err(Failure::new(format!("an entry of `{name}` has a `key`"))),
        (None, Some(_)) => return Err(Failure::new(format!("`{name}` has no keys"))),
    }
    if entry.absent == entry.value.is_some() {
        return Err(Failure::new(format!("an entry of `{name}` has a `value`, or is `absent`")));
    }
    Ok(())
}

fn unfit(place: &str, faults: &Faults) -> Failure {
    Failure::new(format!("{place}: {faults}"))
        .with_hint("docs/map-interface.md says how keys and values are written")
}

/// The key as the daemon tells it.
pub(super) fn spelled(map: &Map, key: &Value) -> Value {
    let is = map.key.as_ref();
    let spelled = is.and_then(|is| is.decode(&is.encode(key, HERE).ok()?, HERE).ok());
    spelled.unwrap_or_else(|| key.clone())
}

/// How a value is not what was expected of it: of an object only the fields count that are given.
pub(super) fn differences(map: &Map, expected: &Value, got: &Value) -> Result<Vec<String>, Failure> {
    let over = overlaid(got, expected);
    let is = map.value.as_ref().filter(|_| !map.kind.is_per_cpu());
    let wanted = match is {
        // What one writes in several ways is read in one.
        Some(is) => {
            let bytes = is.encode(&over, HERE);
            let bytes =
                bytes.map_err(|faults| unfit(&format!("what is expected of `{}`", map.name), &faults))?;
            is.decode(&bytes, HERE)?
        }
        None => over,
    };
    let mut found = Vec::new();
    compare(&wanted, got, "", &mut found);
    Ok(found)
}

/// What is got, with what is expected over it.
fn overlaid(got: &Value, expected: &Value) -> Value {
    match (got, expected) {
        (Value::Object(got), Value::Object(expected)) => {
            let mut all = got.clone();
            for (name, value) in expected {
                let over = got.get(name).map_or_else(|| value.clone(), |got| overlaid(got, value));
                all.insert(name.clone(), over);
            }
            Value::Object(all)
        }
        (_, expected) => expected.clone(),
    }
}

fn compare(wanted: &Value, got: &Value, place: &str, found: &mut Vec<String>) {
    match (wanted, got) {
        (Value::Object(wanted), Value::Object(got)) => {
            for (name, value) in wanted {
                let got = got.get(name).unwrap_or(&Value::Null);
                compare(value, got, &format!("{place}.{name}"), found);
            }
        }
        (wanted, got) if wanted != got => found.push(format!("{place}: expected {wanted}, got {got}")),
        (_, _) => {}
    }
}
