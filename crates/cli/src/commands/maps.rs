// SPDX-License-Identifier: Apache-2.0
//! `l3af maps`, `l3af get`, `l3af set`, `l3af watch`: maps of what runs.

use std::collections::HashSet;
use std::fs;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use maps::{Endian, Map, Type};
use serde_json::{Value, json};
use wire::{CallError, MapChange, MapChanged, MapEntry, MapPlace, MapTold};

use super::daemon::{call, follow};
use crate::arguments::Daemon;
use crate::arguments::maps::{Get, Maps, Place, Set, Watch};
use crate::failure::{Failure, Outcome};
use crate::output;

/// `l3af maps`.
pub(crate) fn list(daemon: &Daemon, arguments: &Maps) -> Outcome {
    let mut listed = call(daemon, async |node| node.maps().await)?;
    if let Some(member) = &arguments.member {
        listed.maps.retain(|view| view.member == *member);
    }
    if arguments.json {
        return output::json(&listed);
    }
    let rows = listed.maps.iter().map(|view| {
        let hook = view.hook.clone().unwrap_or_else(|| "probe".to_owned());
        [vec![hook, view.member.to_string()], described(&view.map)].concat()
    });
    let head = [["hook", "member"].as_slice(), &HEAD].concat();
    output::data(&output::table(&head, rows.collect()));
    Ok(())
}

/// What is told of a map.
pub(super) const HEAD: [&str; 6] = ["map", "kind", "entries", "role", "key", "value"];

/// A map as a row.
pub(super) fn described(map: &Map) -> Vec<String> {
    let Map { name, kind, max_entries, key, value, event, role, .. } = map;
    let is = |is: &Option<Type>| is.as_ref().map(shape).unwrap_or_default();
    vec![
        name.clone(),
        kind.to_string(),
        max_entries.to_string(),
        role.map(|role| role.to_string()).unwrap_or_default(),
        is(key),
        if event.is_some() { is(event) } else { is(value) },
    ]
}

/// A type in words, a structure with its fields.
pub(super) fn shape(is: &Type) -> String {
    let unit = is.words().unit.as_ref().map(|unit| format!(" {unit}")).unwrap_or_default();
    let Some(fields) = is.fields() else { return format!("{is}{unit}") };
    let fields = fields.fields.iter().filter(|field| !field.is.is_kernel());
    let fields: Vec<String> =
        fields.map(|field| format!("{}: {}", field.shown_name().unwrap_or("_"), shape(&field.is))).collect();
    format!("{{ {} }}", fields.join(", "))
}

/// `l3af get`.
pub(crate) fn get(daemon: &Daemon, arguments: &Get) -> Outcome {
    let Get { key, per_cpu, json, .. } = arguments;
    let place = arguments.place.place();
    // A reader that has seen enough is no failure.
    let tell =
        |entry: &MapEntry| if *json { output::json_line(entry) } else { output::foreign(&written(entry)) };
    if let Some(key) = key {
        let entry = call(daemon, async |node| node.map_entry(&place, key, *per_cpu).await)?;
        if *json {
            return output::json(&entry);
        }
        output::data(&word(&entry.value));
        return Ok(());
    }
    call(daemon, async |node| {
        let mut entries = node.map_entries(&place, *per_cpu).await?;
        while let Some(entry) = entries.next().await? {
            if !tell(&entry) {
                break;
            }
        }
        Ok::<_, CallError>(())
    })
}

/// `l3af watch`.
pub(crate) fn watch(daemon: &Daemon, arguments: &Watch) -> Outcome {
    const OVER: &str = "the daemon ended";
    let place = arguments.place.place();
    let tell = |told: &MapTold| {
        if arguments.json {
            return output::json_line(told);
        }
        match told {
            MapTold::Set(entry) => output::foreign(&written(entry)),
            MapTold::Deleted(key) => output::foreign(&format!("{} is gone", word(key))),
            MapTold::Event(event) => output::foreign(&word(event)),
            MapTold::Lost(events) => {
                output::note(&format!("{events} events were lost"));
                true
            }
            MapTold::Ended(reason) => {
                output::note(reason);
                false
            }
        }
    };
    call(daemon, async |node| follow(node.watch_map(&place).await?, OVER, tell).await)
}

/// An entry as `l3af set` takes it.
fn written(entry: &MapEntry) -> String {
    let value = word(&entry.value);
    entry.key.as_ref().map_or_else(|| value.clone(), |key| format!("{}={value}", word(key)))
}

/// A word where one will do, else JSON.
fn word(value: &Value) -> String {
    let plain = value.as_str().filter(|text| !text.is_empty() && !text.contains(['"', '=', '[', '{']));
    plain.map_or_else(|| value.to_string(), str::to_owned)
}

/// `l3af set`.
pub(crate) fn set(daemon: &Daemon, arguments: &Set) -> Outcome {
    let Set { place, entries, delete, file, replace, force } = arguments;
    if entries.is_empty() && delete.is_empty() && file.is_none() {
        return Err(Failure::new("there is nothing to be changed".to_owned())
            .with_hint("give entries as `KEY=VALUE`, `--delete KEY`, or `--file FILE`"));
    }
    let map = known(daemon, place)?;
    let opaque = || Type::opaque(0);
    let (key, value) = map.clone().map_or((None, None), |map| (map.key, map.value));
    let (key, value) = (key.unwrap_or_else(opaque), value.unwrap_or_else(opaque));
    let mut change = MapChange { force: *force, ..MapChange::default() };
    change.set = entries.iter().map(|text| entry(text, &key, &value)).collect::<Result<_, _>>()?;
    change.delete = delete.iter().map(|text| one(text, &key)).collect::<Result<_, _>>()?;
    if let Some(file) = file {
        change.set.extend(read(file, &key, &value)?);
    }
    let changed = match map.filter(|_| *replace) {
        Some(map) => replace_all(daemon, &place.place(), &map, &change)?,
        None => call(daemon, async |node| node.change_map(&place.place(), &change).await)?,
    };
    output::note(&format!("entries set: {}, deleted: {}", changed.set, changed.deleted));
    Ok(())
}

/// Writes what a map is to hold, and deletes the rest then, in parts that a call can carry: what stays is there all the while.
fn replace_all(
    daemon: &Daemon,
    place: &MapPlace,
    map: &Map,
    wanted: &MapChange,
) -> Result<MapChanged, Failure> {
    /// Some megabytes of JSON, of the 16 MiB that a call may bring.
    const PART: usize = 100_000;
    let kept = keys(map, &wanted.set)?;
    let is_kept = |key: &Value| {
        let bytes = map.key.as_ref().and_then(|is| is.encode(key, Endian::Little).ok());
        bytes.is_some_and(|bytes| kept.contains(&bytes))
    };
    let empty = || MapChange { force: wanted.force, ..MapChange::default() };
    let mut sum = MapChanged { set: 0, deleted: 0 };
    let done = call(daemon, async |node| {
        for part in wanted.set.chunks(PART) {
            let change = MapChange { set: part.to_vec(), ..empty() };
            sum.set += node.change_map(place, &change).await?.set;
        }
        let (mut gone, mut held) = (Vec::new(), node.map_entries(place, false).await?);
        while let Some(entry) = held.next().await? {
            gone.extend(entry.key.filter(|key| !is_kept(key)));
        }
        for part in gone.chunks(PART) {
            let change = MapChange { delete: part.to_vec(), ..empty() };
            sum.deleted += node.change_map(place, &change).await?.deleted;
        }
        Ok(())
    });
    match done {
        Ok(()) => Ok(sum),
        Err(failure) => Err(failure.with_text(&format!(
            "\n  entries set before that: {}, deleted: {}; the same command again does the rest",
            sum.set, sum.deleted
        ))),
    }
}

/// The keys of what a map is to hold, as bytes: there are several ways to write an address. What is wrong is told before anything is
/// written.
fn keys(map: &Map, entries: &[Value]) -> Result<HashSet<Vec<u8>>, Failure> {
    if map.kind.is_array() {
        return Err(Failure::new(format!("`{}` is an array, of which nothing can be deleted", map.name))
            .with_hint("leave out `--replace`"));
    }
    let mut keys = HashSet::with_capacity(entries.len());
    for (number, entry) in (1..).zip(entries) {
        let wrong = |what: String| Failure::new(what).within(&format!("line {number} of the file"));
        let encoded = map.encode(entry, Endian::Little).map_err(|faults| wrong(faults.to_string()))?;
        if !keys.insert(encoded.key) {
            return Err(
                wrong(format!("a line before has the key {}", entry["key"])).with_hint("give each key once")
            );
        }
    }
    Ok(keys)
}

/// What a map is. What cannot be found the daemon tells when it is asked for the change.
fn known(daemon: &Daemon, place: &Place) -> Result<Option<Map>, Failure> {
    let listed = call(daemon, async |node| node.maps().await)?;
    let found = listed.maps.into_iter().find(|view| {
        let is_hook = place.hook.is_none() || place.hook == view.hook;
        view.member == place.member && view.map.name == place.map && is_hook
    });
    Ok(found.map(|view| view.map))
}

/// `KEY=VALUE`.
fn entry(text: &str, key: &Type, value: &Type) -> Result<Value, Failure> {
    let no_entry = || {
        Failure::new(format!("`{text}` is no entry"))
            .with_hint("key and value have `=` between them; JSON goes in quotes of the shell")
    };
    let (first, rest) = if text.starts_with(['"', '[', '{']) {
        let mut values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
        let given = values.next().and_then(Result::ok).ok_or_else(no_entry)?;
        (given, text[values.byte_offset()..].strip_prefix('=').ok_or_else(no_entry)?)
    } else {
        let (first, rest) = text.split_once('=').ok_or_else(no_entry)?;
        (one(first, key)?, rest)
    };
    Ok(json!({ "key": first, "value": one(rest, value)? }))
}

fn one(text: &str, is: &Type) -> Result<Value, Failure> {
    is.parse_text(text).map_err(|bad| Failure::new(bad.to_string()))
}

/// The entries of a file.
fn read(path: &Path, key: &Type, value: &Type) -> Result<Vec<Value>, Failure> {
    let unreadable = |error: io::Error| Failure::new(format!("cannot read `{}`: {error}", path.display()));
    let reader: Box<dyn BufRead> = if path == Path::new("-") {
        Box::new(io::stdin().lock())
    } else {
        Box::new(BufReader::new(fs::File::open(path).map_err(unreadable)?))
    };
    let mut entries = Vec::new();
    for (number, line) in (1..).zip(reader.lines()) {
        let line = line.map_err(unreadable)?;
        // A key that is a structure begins with a brace as well, and has more behind it.
        let json = if line.starts_with('{') { serde_json::from_str(&line).ok() } else { None };
        let entry = json.map_or_else(|| entry(&line, key, value), Ok).map_err(|failure| {
            Failure::new(format!("line {number} of `{}` is no entry: {failure}", path.display())).with_hint(
                "a line is `443=100` or `{\"key\": 443, \"value\": 100}`, as `l3af get` prints it without and with `--json`",
            )
        })?;
        entries.push(entry);
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_words_or_json() {
        let told = |key: &str, value: &str, text: &str| {
            let entry = entry(text, &key.parse().unwrap(), &value.parse().unwrap());
            entry.map_or_else(
                |failure| failure.to_string(),
                |entry| format!("{} {}", entry["key"], entry["value"]),
            )
        };
        assert_eq!(told("u16", "u32", "443=100"), r#""443" "100""#);
        assert_eq!(told("char[4]", "char[8]", "a=b=c"), r#""a" "b=c""#);
        assert_eq!(told("char[4]", "u8", r#""a=b"=1"#), r#""a=b" "1""#);
        assert_eq!(told("{ a: u8 }", "{ b: u8 }", r#"{"a": 1}={"b": 2}"#), r#"{"a":1} {"b":2}"#);
        assert!(told("u16", "u32", "443").contains("is no entry"));
    }

    #[test]
    fn what_is_printed_is_an_entry() {
        let printed =
            |key: Value, value: Value| written(&MapEntry { key: Some(key), value, without_sum: Vec::new() });
        assert_eq!(printed(443.into(), "10ms".into()), "443=10ms");
        assert_eq!(printed("a=b".into(), true.into()), r#""a=b"=true"#);
        assert_eq!(printed(json!({"a": 1}), json!([1, 2])), r#"{"a":1}=[1,2]"#);
    }
}
