// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! From one table to the next: each slot keeps in mind which backend had its flows before, so that those stay.

use std::collections::BTreeSet;

use crate::maglev::SLOTS;
use crate::maps::{TablesValue, TablesValueSlots as Slot};

/// How many slots go into one entry of the map.
const CHUNK: usize = 8;
/// How many entries a table takes.
pub(crate) const CHUNKS: usize = SLOTS.div_ceil(CHUNK);
/// In place of a backend of before of which nothing is left: flows of the slot may be remembered all the same.
const NOBODY: u16 = u16::MAX;
const EMPTY: Slot = Slot { now: 0, before: 0, changed_s: 0 };

/// The slots of a pool.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Slots(Vec<Slot>);

impl Slots {
    /// Of a pool that never had a table.
    pub(crate) fn empty() -> Self {
        Self(vec![EMPTY; SLOTS])
    }

    /// What is in a map.
    pub(crate) fn read(chunks: &[TablesValue]) -> Self {
        Self(chunks.iter().flat_map(|chunk| chunk.slots).take(SLOTS).collect())
    }

    /// What is to be in a map.
    pub(crate) fn chunks(&self) -> impl Iterator<Item = TablesValue> + '_ {
        self.0.chunks(CHUNK).map(|some| {
            let mut slots = [EMPTY; CHUNK];
            slots[..some.len()].copy_from_slice(some);
            TablesValue { slots }
        })
    }

    /// The next table. Numbers in `others` stand for other backends than before.
    ///
    /// While a slot counts as changed (`window_s`), the program remembers all flows that begin in it. When it changes again meanwhile,
    /// those that nobody remembers are still of the backend that was there first: one that only fails for a while finds its flows again.
    pub(crate) fn next(&self, table: &[u16], others: &BTreeSet<u16>, now_s: u32, window_s: u32) -> Self {
        let known = |number: u16| if others.contains(&number) { NOBODY } else { number };
        let next = |(old, new): (&Slot, &u16)| {
            let Slot { now, before, changed_s } = *old;
            let is_recent = before != 0 && now_s.saturating_sub(changed_s) < window_s;
            match (now, before) {
                _ if now == *new => Slot { before: known(before), ..*old },
                (0, 0) => Slot { now: *new, ..EMPTY },
                _ if is_recent => Slot { now: *new, before: known(before), changed_s: now_s },
                (0, _) => Slot { now: *new, before: NOBODY, changed_s: now_s },
                _ => Slot { now: *new, before: known(now), changed_s: now_s },
            }
        };
        Self(self.0.iter().zip(table).map(next).collect())
    }

    /// How many slots lead to a backend.
    pub(crate) fn count(&self, number: u16) -> u32 {
        self.0.iter().map(|slot| u32::from(slot.now == number)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(now: u16, before: u16, changed_s: u32) -> Slot {
        Slot { now, before, changed_s }
    }

    /// What becomes of a slot at second 5000, when slots count as changed for 1000 seconds.
    fn after(old: Slot, new: u16) -> Slot {
        let table = vec![new; SLOTS];
        Slots(vec![old; SLOTS]).next(&table, &BTreeSet::from([9]), 5000, 1000).0[0]
    }

    #[test]
    fn a_slot_that_changes_keeps_the_backend_of_before_in_mind() {
        assert_eq!(after(EMPTY, 1), slot(1, 0, 0));
        assert_eq!(after(slot(1, 0, 0), 2), slot(2, 1, 5000));
        assert_eq!(after(slot(2, 1, 4000), 3), slot(3, 2, 5000));
    }

    #[test]
    fn a_slot_that_changes_again_soon_keeps_the_first_one_in_mind() {
        assert_eq!(after(slot(2, 1, 4001), 3), slot(3, 1, 5000));
        assert_eq!(after(slot(2, 1, 4001), 1), slot(1, 1, 5000));
        assert_eq!(after(slot(0, 1, 4001), 1), slot(1, 1, 5000));
    }

    #[test]
    fn a_slot_that_does_not_change_stays_as_it_is() {
        assert_eq!(after(slot(1, 0, 0), 1), slot(1, 0, 0));
        assert_eq!(after(slot(2, 1, 40), 2), slot(2, 1, 40));
    }

    #[test]
    fn a_number_that_became_somebody_else_has_no_flows_of_before() {
        assert_eq!(after(slot(2, 9, 40), 2), slot(2, NOBODY, 40));
        assert_eq!(after(slot(9, 1, 40), 2), slot(2, NOBODY, 5000));
        assert_eq!(after(slot(2, 9, 4001), 3), slot(3, NOBODY, 5000));
        assert_eq!(after(slot(0, 1, 40), 2), slot(2, NOBODY, 5000));
    }

    #[test]
    fn what_is_written_is_what_is_read() {
        let table: Vec<u16> = (0..SLOTS).map(|slot| u16::try_from(slot % 1000).unwrap()).collect();
        let slots = Slots::empty().next(&table, &BTreeSet::new(), 1, 1);
        let chunks: Vec<TablesValue> = slots.chunks().collect();
        assert_eq!(chunks.len(), CHUNKS);
        assert_eq!(Slots::read(&chunks), slots);
        assert_eq!(slots.count(7), 66);
    }
}
