// SPDX-License-Identifier: Apache-2.0
//! What belongs to a member and is in no chain: what its maps hold at first, where others find them, what runs in user space
//! for it. It is how programs of l3afd v1 are configured.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use package::{MemorySize, ObjectMap};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// What a map holds before its program gets packets: whole numbers under whole numbers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Fill {
    /// Values by key. Where there are any, entries with other keys go, as far as the kind of map lets them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub values: BTreeMap<i64, i64>,
    /// Keys that begin with zero, where they have no value yet.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub zeros: BTreeSet<i64>,
}

/// A map cannot be filled so.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BadFill {
    /// There is no such map.
    #[error("there is no map `{map}`; there is {}", crate::member::list(.known))]
    NoMap {
        /// What was named.
        map: String,
        /// The maps of the object.
        known: Vec<String>,
    },
    /// What it holds are no whole numbers.
    #[error(
        "the map `{map}` has keys of {key_bytes} and values of {value_bytes} bytes; only 1, 2, 4 and 8 are whole numbers"
    )]
    Width {
        /// The map.
        map: String,
        /// The size of its keys.
        key_bytes: u32,
        /// The size of its values.
        value_bytes: u32,
    },
    /// A number is too large.
    #[error("{number} does not fit into the {bytes} bytes of {what} of the map `{map}`")]
    Number {
        /// The map.
        map: String,
        /// The number.
        number: i64,
        /// The room.
        bytes: u32,
        /// A key or a value.
        what: &'static str,
    },
}

impl Fill {
    /// Whether a map of an object can be filled so.
    pub(crate) fn check(&self, name: &str, maps: &[ObjectMap]) -> Result<(), BadFill> {
        let Some(map) = maps.iter().find(|map| map.name == name) else {
            let known = maps.iter().map(|map| map.name.clone()).collect();
            return Err(BadFill::NoMap { map: name.to_owned(), known });
        };
        let (key_bytes, value_bytes) = (map.key_bytes, map.value_bytes);
        if ![key_bytes, value_bytes].iter().all(|bytes| [1, 2, 4, 8].contains(bytes)) {
            return Err(BadFill::Width { map: name.to_owned(), key_bytes, value_bytes });
        }
        let fits = |number: &i64, bytes: u32, what: &'static str| match encode(*number, bytes) {
            Some(_) => Ok(()),
            None => Err(BadFill::Number { map: name.to_owned(), number: *number, bytes, what }),
        };
        self.values.keys().chain(&self.zeros).try_for_each(|key| fits(key, key_bytes, "a key"))?;
        self.values.values().try_for_each(|value| fits(value, value_bytes, "a value"))
    }
}

/// A number in so many bytes, in the order of this machine; none where it does not fit, as a signed number nor as an unsigned one.
pub fn encode(number: i64, bytes: u32) -> Option<Vec<u8>> {
    Some(match bytes {
        1 => u8::try_from(number)
            .ok()
            .or_else(|| i8::try_from(number).ok().map(i8::cast_unsigned))?
            .to_ne_bytes()
            .to_vec(),
        2 => u16::try_from(number)
            .ok()
            .or_else(|| i16::try_from(number).ok().map(i16::cast_unsigned))?
            .to_ne_bytes()
            .to_vec(),
        4 => u32::try_from(number)
            .ok()
            .or_else(|| i32::try_from(number).ok().map(i32::cast_unsigned))?
            .to_ne_bytes()
            .to_vec(),
        8 => number.to_ne_bytes().to_vec(),
        _ => return None,
    })
}

/// What surrounds a member.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outside {
    /// A folder of a bpffs in which its maps are pinned once more, for programs in user space that look there.
    pub pins: Option<PathBuf>,
    /// A file of a bpffs in which its program is pinned once more.
    pub program: Option<PathBuf>,
    /// What runs in user space for it.
    pub commands: Vec<Command>,
}

/// A program of the package that runs in user space for one member.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Command {
    /// The executable, a file of the package.
    pub file: String,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Whether it ends by itself when it has done what it is for; one that keeps running is started again when it ends.
    pub once: bool,
    /// The most memory that it takes.
    pub memory: Option<MemorySize>,
    /// The most time of processors that it takes in all, in seconds; then it is ended.
    pub cpu_seconds: Option<u64>,
    /// Files that it reads: what is in them, by path.
    pub files: BTreeMap<PathBuf, String>,
    /// What ends it, before it is asked to end by a signal.
    pub stop: Option<Errand>,
    /// What is asked whether it runs, and how often.
    pub status: Option<(Errand, Duration)>,
}

/// A program of the package that runs for a moment beside another one, of which it takes care.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Errand {
    /// The executable, a file of the package.
    pub file: String,
    /// Its arguments.
    pub arguments: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(key_bytes: u32, value_bytes: u32) -> ObjectMap {
        let (name, kind) = ("m".to_owned(), "hash".to_owned());
        ObjectMap { name, kind, key_bytes, value_bytes, max_entries: 1, flags: 0, pinned_by_name: false }
    }

    #[test]
    fn numbers_take_the_room_that_there_is() {
        let two = |number| encode(number, 2).map(|bytes| u16::from_ne_bytes([bytes[0], bytes[1]]));
        assert_eq!([65_535, 65_536, -1, -32_769].map(two), [Some(65_535), None, Some(65_535), None]);
        assert_eq!(encode(-1, 8), Some(vec![255; 8]));
        assert_eq!(encode(1, 3), None);
    }

    #[test]
    fn what_cannot_be_written_is_told() {
        let fill = Fill { values: [(1, 300)].into(), zeros: [0].into() };
        assert_eq!(fill.check("m", &[map(4, 8)]), Ok(()));
        let refused = |name, map| fill.check(name, &[map]).unwrap_err().to_string();
        assert_eq!(refused("n", map(4, 8)), "there is no map `n`; there is `m`");
        assert_eq!(refused("m", map(4, 1)), "300 does not fit into the 1 bytes of a value of the map `m`");
        assert!(refused("m", map(16, 8)).contains("keys of 16 and values of 8 bytes"));
    }
}
