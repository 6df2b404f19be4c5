// SPDX-License-Identifier: Apache-2.0
//! Reading the maps of a program that is tested.

use maps::Faults;
use serde_json::Value;
use wire::{MapEntry, TestRead, TestWish, TestedMap};

use super::{BadTest, Loaded};
use crate::api::told;
use crate::engine::{HERE, Held};

impl Loaded<'_> {
    /// Reads the entries that somebody asks for.
    pub(super) fn read(&self, wish: &TestRead, place: &str) -> Result<TestedMap, BadTest> {
        let TestRead { map, keys } = wish;
        let held = self.open(map, place)?;
        let entries = match keys {
            Some(keys) if held.map.key.is_some() => {
                let keys = keys.iter().enumerate();
                let found = keys.map(|(number, key)| self.one(&held, key, &format!("{place}/keys/{number}")));
                found.filter_map(Result::transpose).collect::<Result<_, _>>()?
            }
            Some(_) | None => self.all(&held)?,
        };
        Ok(TestedMap { map: map.clone(), entries })
    }

    fn one(&self, held: &Held, key: &Value, place: &str) -> Result<Option<MapEntry>, BadTest> {
        let is = held.map.key.as_ref().expect("it has keys");
        let unfit =
            |faults: Faults| BadTest::Value { map: held.map.name.clone(), faults: faults.within(place) };
        let key = is.encode(key, HERE).map_err(unfit)?;
        let values = held.open.look_up(&key).map_err(|source| unread(held, source))?;
        let told = |values: Vec<Vec<u8>>| {
            self.entry(held, &key, &values.iter().map(Vec::as_slice).collect::<Vec<_>>())
        };
        values.map(told).transpose()
    }

    fn all(&self, held: &Held) -> Result<Vec<MapEntry>, BadTest> {
        let mut entries = Vec::new();
        for batch in held.open.batches() {
            let batch = batch.map_err(|source| unread(held, source))?;
            for (key, values) in batch.entries() {
                entries.push(self.entry(held, key, &values.iter().collect::<Vec<_>>())?);
            }
            if entries.len() > TestWish::MOST_ENTRIES {
                return Err(BadTest::TooManyEntries { map: held.map.name.clone() });
            }
        }
        Ok(entries)
    }

    fn entry(&self, held: &Held, key: &[u8], values: &[&[u8]]) -> Result<MapEntry, BadTest> {
        self.spend(key.len() + held.open.value_bytes())?;
        told(held, key, values, false).map_err(|bad| unread(held, std::io::Error::other(bad)))
    }
}

fn unread(held: &Held, source: std::io::Error) -> BadTest {
    BadTest::Unread { map: held.map.name.clone(), source }
}
