// SPDX-License-Identifier: Apache-2.0
//! All that a map holds, as one value of JSON: what whoever configures a map says of it.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Map, MapKind};
use crate::{Endian, Fault, FaultKind, Faults, Type};

/// How many faults of one map are told, about: one mistake in a list may be in all of its lines.
const MOST_FAULTS: usize = 100;

/// What a map holds: values, or maps, by the bytes of their keys.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Contents {
    /// What is under each key.
    pub entries: BTreeMap<Vec<u8>, Held>,
}

/// What is under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Held {
    /// A value; where each processor has its own, that of all of them.
    Value(Vec<u8>),
    /// A map that the key leads to.
    Map(InnerMap),
}

/// A map in a map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InnerMap {
    /// Its kind.
    pub kind: MapKind,
    /// The bytes of its keys.
    pub key_bytes: usize,
    /// The bytes of its values.
    pub value_bytes: usize,
    /// How many entries it has at most.
    pub max_entries: u32,
    /// Its flags (`BPF_F_*` of `linux/bpf.h`).
    pub flags: u32,
    /// What it holds.
    pub contents: Contents,
}

impl Contents {
    /// Bytes that are the same where the contents are, and else are not: counts and lengths as 64 bits, lowest byte first, before
    /// what they count.
    pub fn canonical(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.write_to(&mut bytes);
        bytes
    }

    fn write_to(&self, bytes: &mut Vec<u8>) {
        let number = |bytes: &mut Vec<u8>, number: usize| bytes.extend((number as u64).to_le_bytes());
        number(bytes, self.entries.len());
        for (key, held) in &self.entries {
            number(bytes, key.len());
            bytes.extend(key);
            match held {
                Held::Value(value) => {
                    bytes.push(0);
                    number(bytes, value.len());
                    bytes.extend(value);
                }
                Held::Map(inner) => {
                    bytes.push(1);
                    bytes.extend(
                        [inner.kind.0, inner.max_entries, inner.flags].map(u32::to_le_bytes).concat(),
                    );
                    number(bytes, inner.key_bytes);
                    number(bytes, inner.value_bytes);
                    inner.contents.write_to(bytes);
                }
            }
        }
    }
}

impl Map {
    /// Whether somebody can say all that it holds: it has entries, or holds maps that have.
    pub fn can_be_filled(&self) -> bool {
        let inner = || self.inner.as_ref().is_some_and(|inner| inner.can_be_filled());
        self.key.is_some() && (self.kind.has_entries() || self.kind.holds_maps() && inner())
    }

    /// What it holds by this JSON: an array of entries, or an object of values by the words of their keys.
    ///
    /// # Errors
    /// When that is no contents of this map, with all that is wrong: pointers begin with `/` and the number of the entry, or the
    /// word.
    pub fn contents(&self, json: &Value, endian: Endian) -> Result<Contents, Faults> {
        let mut filling = Filling { map: self, endian, contents: Contents::default(), faults: Vec::new() };
        match json {
            Value::Array(entries) => {
                for (number, entry) in entries.iter().enumerate() {
                    filling.take(&format!("/{number}"), entry, |map| map.entry(entry, endian));
                }
            }
            Value::Object(values) => {
                for (word, value) in values {
                    let pointer = format!("/{}", crate::write::escaped(word));
                    filling.take(&pointer, value, |map| map.named(word, value, endian));
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                filling.fault(
                    "",
                    FaultKind::Kind,
                    json,
                    "an array of entries, or an object of values by key",
                );
            }
        }
        let (most, given) = (self.max_entries as usize, filling.contents.entries.len());
        if most > 0 && given > most {
            let (given, expected) = (Value::from(given), format!("at most {most} entries"));
            filling.fault("", FaultKind::Length, &given, &expected);
        }
        if filling.faults.is_empty() { Ok(filling.contents) } else { Err(Faults(filling.faults)) }
    }

    /// An entry with its key and its value beside each other.
    fn entry(&self, entry: &Value, endian: Endian) -> Result<(Vec<u8>, Held), Faults> {
        let Some(inner) = self.inner.as_ref().filter(|_| self.kind.holds_maps()) else {
            return self.encode(entry, endian).map(|entry| (entry.key, Held::Value(entry.value)));
        };
        // The key is that of any entry, and the value is what a map holds.
        let Some(mut parts) = entry.as_object().cloned() else {
            let expected = "an object with `key` and `value`".to_owned();
            return Err(Faults::from(Fault::new("", FaultKind::Kind, Some(entry), expected)));
        };
        let missing = || {
            let expected = "what the map holds that the key leads to".to_owned();
            Faults::from(Fault::new("", FaultKind::Missing, None, expected))
        };
        let held = parts.remove("value").ok_or_else(missing);
        let held =
            held.and_then(|value| inner.held(&value, endian)).map_err(|faults| faults.within("/value"));
        let keys = Map { value: None, inner: None, ..self.clone() };
        let key = keys.encode(&Value::Object(parts), endian);
        match (key, held) {
            (Ok(key), Ok(held)) => Ok((key.key, held)),
            (Err(one), Err(other)) => Err(one.and(other)),
            (Err(faults), Ok(_)) | (Ok(_), Err(faults)) => Err(faults),
        }
    }

    /// An entry whose key is a word.
    fn named(&self, word: &str, value: &Value, endian: Endian) -> Result<(Vec<u8>, Held), Faults> {
        let key = self.key_named(word, endian);
        let held = match (&self.inner, &self.value) {
            (Some(inner), _) if self.kind.holds_maps() => inner.held(value, endian),
            (_, Some(is)) => is.encode(value, endian).map(Held::Value),
            (_, None) => Ok(Held::Value(Vec::new())),
        };
        match (key, held) {
            (Ok(key), Ok(held)) => Ok((key, held)),
            (Err(one), Err(other)) => Err(one.and(other)),
            (Err(faults), Ok(_)) | (Ok(_), Err(faults)) => Err(faults),
        }
    }

    fn key_named(&self, word: &str, endian: Endian) -> Result<Vec<u8>, Faults> {
        let Some(is) = &self.key else { return Ok(Vec::new()) };
        let wrong =
            |expected| Faults::from(Fault::new("", FaultKind::Kind, Some(&Value::from(word)), expected));
        let json = is.parse_text(word).map_err(|bad| wrong(bad.expected().to_owned()))?;
        let key = is.encode(&json, endian)?;
        let given = Value::from(word);
        self.beyond(&key, endian, Some(&given))
            .map_or(Ok(key), |fault| Err(Faults(vec![Fault { pointer: String::new(), ..fault }])))
    }

    /// A map in a map that holds this.
    fn held(&self, json: &Value, endian: Endian) -> Result<Held, Faults> {
        let contents = self.contents(json, endian)?;
        let bytes = |part: &Option<Type>| part.as_ref().map_or(0, Type::bytes);
        // Where whoever loads it decides how many entries it has, those that there are fit.
        let needed = u32::try_from(contents.entries.len()).unwrap_or(u32::MAX).max(1);
        Ok(Held::Map(InnerMap {
            kind: self.kind,
            key_bytes: bytes(&self.key),
            value_bytes: bytes(&self.value),
            max_entries: if self.max_entries == 0 { needed } else { self.max_entries },
            flags: self.flags,
            contents,
        }))
    }
}

/// What was found so far.
struct Filling<'a> {
    map: &'a Map,
    endian: Endian,
    contents: Contents,
    faults: Vec<Fault>,
}

impl Filling<'_> {
    /// Notes an entry, or what is wrong with it.
    fn take(
        &mut self,
        pointer: &str,
        given: &Value,
        entry: impl FnOnce(&Map) -> Result<(Vec<u8>, Held), Faults>,
    ) {
        if self.faults.len() >= MOST_FAULTS {
            return;
        }
        match entry(self.map) {
            Err(faults) => self.faults.extend(faults.within(pointer).0),
            Ok((mut key, held)) => {
                // For a trie, what is behind the length makes no other key.
                if self.map.kind == MapKind::LPM_TRIE {
                    crate::address::clear_behind_prefix(&mut key, self.endian);
                }
                let again = self.contents.entries.insert(key.clone(), held).is_some();
                if again {
                    let key = self.map.key.as_ref().and_then(|is| is.view(&key, self.endian).ok());
                    let key = key.and_then(|key| serde_json::to_string(&key).ok()).unwrap_or_default();
                    let expected = format!("another key: {key} has a value already");
                    self.fault(pointer, FaultKind::Contradiction, given, &expected);
                }
            }
        }
    }

    fn fault(&mut self, pointer: &str, kind: FaultKind, given: &Value, expected: &str) {
        self.faults.push(Fault::new(pointer, kind, Some(given), expected.to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Interface;
    use serde_json::json;

    /// A map as the specification writes it.
    fn map(json: &Value) -> Map {
        let interface: Interface = serde_json::from_value(json!({ "maps": [json] })).unwrap();
        interface.maps.into_iter().next().unwrap()
    }

    fn of(key: &str, value: &str, kind: &str, max_entries: u32) -> Map {
        let is = |words: &str| serde_json::to_value(words.parse::<Type>().unwrap()).unwrap();
        map(
            &json!({"name": "m", "kind": kind, "max_entries": max_entries, "key": is(key), "value": is(value)}),
        )
    }

    #[track_caller]
    fn check(map: &Map, json: &Value) -> String {
        match map.contents(json, Endian::Little) {
            Ok(Contents { entries }) => entries
                .iter()
                .map(|(key, held)| match held {
                    Held::Value(value) => format!("{key:?} {value:?}\n"),
                    Held::Map(inner) => format!("{key:?} {} {:?}\n", inner.kind, inner.contents.entries),
                })
                .collect(),
            Err(faults) => format!("{faults}\n"),
        }
    }

    #[test]
    fn entries_are_a_list_or_go_by_the_words_of_their_keys() {
        let ports = of("port", "{ rate: u16, burst: u8 }", "hash", 4);
        let list = json!([{"key": 443, "value": {"rate": 5, "burst": 1}}, {"key": 80, "value": {"rate": 6, "burst": 2}}]);
        let words = json!({"443": {"rate": 5, "burst": 1}, "80": {"rate": 6, "burst": 2}});
        insta::assert_snapshot!(check(&ports, &list), @r"
        [0, 80] [6, 0, 2, 0]
        [1, 187] [5, 0, 1, 0]
        ");
        assert_eq!(
            ports.contents(&words, Endian::Little),
            ports.contents(&json!([{"key": "0x50", "value": {"rate": 6, "burst": 2}}, {"key": 443, "value": {"burst": 1, "rate": 5}}]), Endian::Little)
        );
        assert_eq!(check(&ports, &json!({})), "");
    }

    #[test]
    fn all_that_is_wrong_is_told_with_its_place() {
        let ports = of("port", "{ rate: u16, burst: u8 }", "hash", 2);
        let words = json!({"443": {"rate": 70_000, "burst": 1}, "x": {"rate": 1}, "80": {"rate": 1, "burst": 1}, "0x50": {"rate": 1, "burst": 1}, "1": {"rate": 1, "burst": 1}, "2": {"rate": 1, "burst": 1}});
        insta::assert_snapshot!(check(&ports, &words), @r#"
        `/443/rate` is `70000`; expected a whole number from 0 to 65535
        `/x` is `"x"`; expected a whole number from 0 to 65535
        `/x/burst` is missing; expected a whole number from 0 to 255
        `/0x50` is `{"rate":1,"burst":1}`; expected another key: 80 has a value already
        the value is `3`; expected at most 2 entries
        "#);
        insta::assert_snapshot!(check(&ports, &json!([{"key": 1}, 5])), @r"
        `/0/value` is missing; expected an object with `rate` and `burst`
        `/1` is `5`; expected an object with `key` and `value`
        ");
        insta::assert_snapshot!(check(&ports, &json!(5)), @r"
        the value is `5`; expected an array of entries, or an object of values by key
        ");
        insta::assert_snapshot!(check(&of("u32", "u8", "array", 2), &json!({"0": 1, "2": 1})), @r#"
        `/2` is `"2"`; expected a key from 0 to 1
        "#);
    }

    #[test]
    fn two_spellings_of_a_prefix_are_one_key() {
        let is = |key: Value| {
            let value = serde_json::to_value("u8".parse::<Type>().unwrap()).unwrap();
            map(&json!({"name": "m", "kind": "lpm_trie", "max_entries": 8, "key": key, "value": value}))
        };
        let nets = is(json!({"kind": "prefix", "bytes": 8, "family": "ipv4"}));
        insta::assert_snapshot!(check(&nets, &json!({"10.1.2.3/8": 1, "192.0.2.129/25": 2, "192.0.2.1": 3})), @r"
        [8, 0, 0, 0, 10, 0, 0, 0] [1]
        [25, 0, 0, 0, 192, 0, 2, 128] [2]
        [32, 0, 0, 0, 192, 0, 2, 1] [3]
        ");
        insta::assert_snapshot!(check(&nets, &json!({"10.1.2.3/8": 1, "10.0.0.0/8": 0})), @r#"`/10.0.0.0~18` is `0`; expected another key: "10.0.0.0/8" has a value already"#);
    }

    #[test]
    fn what_a_key_leads_to_may_be_a_map() {
        let is = |words: &str| serde_json::to_value(words.parse::<Type>().unwrap()).unwrap();
        let inner =
            json!({"name": "i", "kind": "hash", "max_entries": 2, "key": is("u8"), "value": is("bool")});
        let outer = map(
            &json!({"name": "m", "kind": "hash_of_maps", "max_entries": 4, "key": is("ipv4"), "value": is("u32"), "inner": inner}),
        );
        assert!(outer.can_be_filled());
        let words = json!({"192.0.2.1": {"1": true, "2": false}});
        insta::assert_snapshot!(check(&outer, &words), @r"
        [192, 0, 2, 1] hash {[1]: Value([1]), [2]: Value([0])}
        ");
        assert_eq!(
            outer.contents(&words, Endian::Little),
            outer.contents(&json!([{"key": "192.0.2.1", "value": [{"key": 2, "value": false}, {"key": 1, "value": true}]}]), Endian::Little)
        );
        insta::assert_snapshot!(check(&outer, &json!({"192.0.2.1": {"1": 5}, "192.0.2": 7})), @r#"
        `/192.0.2.1/1` is `5`; expected `true` or `false`
        `/192.0.2` is `"192.0.2"`; expected an address of IPv4, such as `"192.0.2.1"`
        `/192.0.2` is `7`; expected an array of entries, or an object of values by key
        "#);
        insta::assert_snapshot!(check(&outer, &json!([{"key": 1}, {"value": {}}, 5])), @r#"
        `/0/key` is `1`; expected an address of IPv4, such as `"192.0.2.1"`
        `/0/value` is missing; expected what the map holds that the key leads to
        `/1/key` is missing; expected an address of IPv4, such as `"192.0.2.1"`
        `/2` is `5`; expected an object with `key` and `value`
        "#);
    }

    #[test]
    fn contents_are_the_same_where_their_bytes_are() {
        let hash = of("char[2]", "char[2]", "hash", 4);
        let bytes = |json: Value| hash.contents(&json, Endian::Little).unwrap().canonical();
        assert_eq!(bytes(json!({"a": "b", "c": "d"})), bytes(json!({"c": "d", "a": "b"})));
        assert_ne!(bytes(json!({"a": "b", "c": "d"})), bytes(json!({"a": "d", "c": "b"})));
        assert_ne!(bytes(json!({})), bytes(json!({"": ""})));
    }
}
