// SPDX-License-Identifier: Apache-2.0
//! Entries of a map: a key and its value, as one object of JSON.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::Map;
use crate::{Endian, Fault, FaultKind, Faults, Type, View, WrongSize};

/// The bytes of an entry; none of a key where its map has no keys, none of a value where it has no values.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Entry {
    /// The key.
    pub key: Vec<u8>,
    /// The value.
    pub value: Vec<u8>,
}

/// An entry as it lies in memory, to be written as JSON.
#[derive(Debug, Clone, Copy)]
pub struct EntryView<'a> {
    key: Option<View<'a>>,
    value: Option<View<'a>>,
}

impl Serialize for EntryView<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(None)?;
        for (name, part) in [("key", &self.key), ("value", &self.value)] {
            if let Some(part) = part {
                map.serialize_entry(name, part)?;
            }
        }
        map.end()
    }
}

impl Map {
    /// The bytes of a key and a value as an entry of this map.
    ///
    /// # Errors
    /// When they are not as many as its types have.
    pub fn view<'a>(
        &'a self,
        key: &'a [u8],
        value: &'a [u8],
        endian: Endian,
    ) -> Result<EntryView<'a>, WrongSize> {
        let view = |part: &'a Option<Type>, bytes| part.as_ref().map(|is| is.view(bytes, endian)).transpose();
        Ok(EntryView { key: view(&self.key, key)?, value: view(&self.value, value)? })
    }

    /// The bytes of an entry.
    ///
    /// # Errors
    /// When it is none of this map, with all that is wrong: pointers begin with `/key` and `/value`.
    pub fn encode(&self, entry: &Value, endian: Endian) -> Result<Entry, Faults> {
        let parts = [("key", &self.key), ("value", &self.value)];
        let known: Vec<&str> =
            parts.iter().filter(|(_, part)| part.is_some()).map(|(name, _)| *name).collect();
        let Some(object) = entry.as_object() else {
            let expected = format!("an object with {}", crate::write::list_all(&known));
            return Err(Faults(vec![Fault::new("", FaultKind::Kind, Some(entry), expected)]));
        };
        let mut faults = Vec::new();
        let mut written = [Vec::new(), Vec::new()];
        for ((name, part), bytes) in parts.into_iter().zip(&mut written) {
            let Some(is) = part else { continue };
            let pointer = format!("/{name}");
            match object.get(name).or(is.words().default.as_ref()).map(|value| is.encode(value, endian)) {
                Some(Ok(encoded)) => *bytes = encoded,
                Some(Err(wrong)) => faults.extend(wrong.within(&pointer).0),
                None => {
                    faults.push(Fault::new(&pointer, FaultKind::Missing, None, crate::write::expected(is)));
                }
            }
        }
        let extra = object.iter().filter(|(name, _)| !known.contains(&name.as_str()));
        faults.extend(extra.map(|(name, value)| {
            let pointer = format!("/{}", crate::write::escaped(name));
            Fault::new(&pointer, FaultKind::Extra, Some(value), crate::write::list(&known))
        }));
        let [key, value] = written;
        faults.extend(self.beyond(&key, endian, object.get("key")));
        if faults.is_empty() { Ok(Entry { key, value }) } else { Err(Faults(faults)) }
    }

    /// Keys of arrays are numbers below how many entries there are.
    pub(super) fn beyond(&self, key: &[u8], endian: Endian, given: Option<&Value>) -> Option<Fault> {
        let array = self.kind.is_array() && self.max_entries > 0;
        let beyond = array && endian.read(key) >= u128::from(self.max_entries);
        let last = self.max_entries.saturating_sub(1);
        beyond.then(|| Fault::new("/key", FaultKind::Range, given, format!("a key from 0 to {last}")))
    }
}
