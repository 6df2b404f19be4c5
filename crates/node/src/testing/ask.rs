// SPDX-License-Identifier: Apache-2.0
//! Reading the maps of a program that is tested.

use maps::{Faults, MapKind};
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
        self.in_time()?;
        let values = match held.map.kind {
            MapKind::LPM_TRIE => self.under_prefix(held, &key)?,
            _ => held.open.look_up(&key).map_err(|source| unread(held, source))?,
        };
        let told = |values: Vec<Vec<u8>>| {
            self.entry(held, &key, &values.iter().map(Vec::as_slice).collect::<Vec<_>>())
        };
        values.map(told).transpose()
    }

    /// The values under a prefix itself: a look-up in a trie finds those under the longest prefix that contains it.
    fn under_prefix(&self, held: &Held, key: &[u8]) -> Result<Option<Vec<Vec<u8>>>, BadTest> {
        for batch in held.open.batches() {
            self.in_time()?;
            let batch = batch.map_err(|source| unread(held, source))?;
            let found = batch.entries().find(|(other, _)| is_same_prefix(other, key));
            if let Some((_, values)) = found {
                return Ok(Some(values.iter().map(<[u8]>::to_vec).collect()));
            }
        }
        Ok(None)
    }

    fn all(&self, held: &Held) -> Result<Vec<MapEntry>, BadTest> {
        let mut entries = Vec::new();
        for batch in held.open.batches() {
            self.in_time()?;
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

/// Whether two keys of a trie are one to the kernel: the bits behind the prefix do not count (`kernel/bpf/lpm_trie.c`).
fn is_same_prefix(one: &[u8], other: &[u8]) -> bool {
    let (Some((length, bits)), Some((other_length, other_bits))) =
        (one.split_first_chunk::<4>(), other.split_first_chunk::<4>())
    else {
        return false;
    };
    let length = u32::from_ne_bytes(*length);
    let mut left = usize::try_from(length).unwrap_or(usize::MAX);
    let mut is_same = length == u32::from_ne_bytes(*other_length);
    for (bits, other_bits) in bits.iter().zip(other_bits) {
        let mask = if left >= 8 { u8::MAX } else { !(u8::MAX >> left) };
        is_same &= (bits ^ other_bits) & mask == 0;
        left = left.saturating_sub(8);
    }
    is_same
}

#[cfg(test)]
mod tests {
    use super::is_same_prefix;

    fn key(length: u32, bits: [u8; 4]) -> Vec<u8> {
        [length.to_ne_bytes(), bits].concat()
    }

    #[test]
    fn a_longer_or_shorter_prefix_is_another_key() {
        let wanted = key(16, [10, 1, 0, 0]);
        assert!(is_same_prefix(&key(16, [10, 1, 0, 0]), &wanted));
        assert!(!is_same_prefix(&key(8, [10, 1, 0, 0]), &wanted));
        assert!(!is_same_prefix(&key(24, [10, 1, 0, 0]), &wanted));
        assert!(!is_same_prefix(&key(16, [10, 2, 0, 0]), &wanted));
    }

    #[test]
    fn bits_behind_a_prefix_do_not_count() {
        assert!(is_same_prefix(&key(12, [10, 0x1f, 7, 7]), &key(12, [10, 0x10, 0, 0])));
        assert!(!is_same_prefix(&key(12, [10, 0x1f, 7, 7]), &key(12, [10, 0x20, 0, 0])));
        assert!(is_same_prefix(&key(0, [10, 1, 2, 3]), &key(0, [0; 4])));
        assert!(!is_same_prefix(&key(32, [10, 1, 2, 3]), &key(32, [10, 1, 2, 2])));
    }
}
