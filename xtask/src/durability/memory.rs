// SPDX-License-Identifier: Apache-2.0
//! What a node acknowledged, remembered where no power goes off, and compared with what it has after a boot.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Context, Result, bail, ensure};

use super::fact::Fact;
use super::ledger::Ledger;

/// How many generations a node keeps ("Going back" in `docs/node.md`).
const KEPT: u64 = 50;

/// What was told after a boot.
#[derive(Debug, Default)]
struct Found {
    /// The mark of the document of each generation that is kept.
    kept: BTreeMap<u64, u64>,
    in_force: Option<u64>,
    /// The mark of the document whose chain is in the kernel.
    runs: Option<u64>,
}

impl Found {
    fn of(told: &[Fact]) -> Result<Self> {
        let mut found = Self::default();
        for fact in told {
            match *fact {
                Fact::Kept { generation, mark } => drop(found.kept.insert(generation, mark)),
                Fact::InForce { generation } => found.in_force = Some(generation),
                Fact::Runs { mark } => found.runs = Some(mark),
                Fact::Whole { .. }
                | Fact::Complete
                | Fact::Begun { .. }
                | Fact::Acknowledged { .. }
                | Fact::Pushed { .. } => bail!("a node tells `{fact:?}` after a boot"),
            }
        }
        Ok(found)
    }
}

/// Which of the two generations that may be in force is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum InForce {
    /// None was acknowledged so far.
    Nothing,
    /// The one that was acknowledged last.
    Acknowledged { generation: u64 },
    /// The one that was being applied.
    InFlight { generation: u64 },
}

impl fmt::Display for InForce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("and none is in force"),
            Self::Acknowledged { generation } => write!(f, "{generation} is in force, acknowledged last"),
            Self::InFlight { generation } => {
                write!(f, "{generation} is in force, which was being applied")
            }
        }
    }
}

/// What the node said so far.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// The mark of the document of each generation that was acknowledged.
    acknowledged: BTreeMap<u64, u64>,
    /// The mark of the document that is being applied.
    in_flight: Option<u64>,
    /// After how many boots which of them was in force.
    was_acknowledged: u32,
    was_in_flight: u32,
}

impl Ledger for Memory {
    fn hear(&mut self, fact: &Fact) -> Result<()> {
        match *fact {
            Fact::Begun { mark } => self.in_flight = Some(mark),
            Fact::Acknowledged { generation, mark } => {
                ensure!(
                    self.in_flight == Some(mark),
                    "document {mark} was acknowledged, and nobody applied it"
                );
                self.in_flight = None;
                self.acknowledged.insert(generation, mark);
            }
            Fact::Kept { .. }
            | Fact::InForce { .. }
            | Fact::Runs { .. }
            | Fact::Whole { .. }
            | Fact::Complete
            | Fact::Pushed { .. } => bail!("a node that applies tells `{fact:?}`"),
        }
        Ok(())
    }

    fn in_flight(&self) -> bool {
        self.in_flight.is_some()
    }

    fn acknowledged(&self) -> usize {
        self.acknowledged.len()
    }

    fn judge(&mut self, told: &[Fact]) -> Result<String> {
        let found = Found::of(told)?;
        let in_force = self.compare(&found)?;
        Ok(format!("{} generations are kept, {in_force}", found.kept.len()))
    }

    fn sum_up(&self) -> String {
        format!(
            "Of {} acknowledged generations each was there as long as it was among the last {KEPT}, with its document.\n\
             Afterwards the one that was acknowledged last was in force {} times, and {} times the one that was being applied.",
            self.acknowledged.len(),
            self.was_acknowledged,
            self.was_in_flight
        )
    }
}

impl Memory {
    /// Compares what there is after a boot. What is in force then was told to somebody, and must stay from now on.
    fn compare(&mut self, found: &Found) -> Result<InForce> {
        let newest = found.kept.last_key_value().map_or(0, |(generation, _)| *generation);
        for (generation, mark) in self.acknowledged.range(newest.saturating_sub(KEPT) + 1..) {
            let kept = found.kept.get(generation);
            ensure!(
                kept == Some(mark),
                "generation {generation} was acknowledged with document {mark}; kept is {kept:?}"
            );
        }
        let in_flight = self.in_flight.take();
        let last = self.acknowledged.last_key_value().map(|(generation, mark)| (*generation, *mark));
        let Some(generation) = found.in_force else {
            ensure!(last.is_none(), "{last:?} was acknowledged last, and nothing is in force");
            ensure!(found.runs.is_none(), "nothing is in force, and document {:?} runs", found.runs);
            return Ok(InForce::Nothing);
        };
        let mark = *found.kept.get(&generation).context("the generation in force is not kept")?;
        ensure!(
            found.runs == Some(mark),
            "document {mark} of generation {generation} is in force, and {:?} runs",
            found.runs
        );
        if last == Some((generation, mark)) {
            self.was_acknowledged += 1;
            return Ok(InForce::Acknowledged { generation });
        }
        ensure!(
            in_flight == Some(mark) && last.is_none_or(|(last, _)| generation > last),
            "generation {generation} with document {mark} is in force; {last:?} was acknowledged last, and document \
             {in_flight:?} was being applied"
        );
        self.acknowledged.insert(generation, mark);
        self.was_in_flight += 1;
        Ok(InForce::InFlight { generation })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A node that acknowledged generations 1 and 2, with documents 101 and 102, and was cut off in document 103.
    fn cut_off() -> Memory {
        let mut memory = Memory::default();
        for (generation, mark) in [(1, 101), (2, 102)] {
            memory.hear(&Fact::Begun { mark }).unwrap();
            memory.hear(&Fact::Acknowledged { generation, mark }).unwrap();
        }
        memory.hear(&Fact::Begun { mark: 103 }).unwrap();
        memory
    }

    fn judge(kept: &[(u64, u64)], in_force: u64, runs: u64) -> Result<InForce> {
        let found =
            Found { kept: kept.iter().copied().collect(), in_force: Some(in_force), runs: Some(runs) };
        cut_off().compare(&found)
    }

    #[test]
    fn the_last_one_or_the_one_in_flight_may_be_in_force() {
        let all = [(1, 101), (2, 102), (3, 103)];
        assert_eq!(judge(&all[..2], 2, 102).unwrap(), InForce::Acknowledged { generation: 2 });
        assert_eq!(judge(&all, 2, 102).unwrap(), InForce::Acknowledged { generation: 2 });
        assert_eq!(judge(&all, 3, 103).unwrap(), InForce::InFlight { generation: 3 });
    }

    #[test]
    fn whatever_else_there_is_is_told() {
        let all = [(1, 101), (2, 102), (3, 103)];
        for (kept, in_force, runs) in [
            // One is gone, the one before is in force, another document is under the number, another one runs.
            (&all[1..], 2, 102),
            (&all[..2], 1, 101),
            (&[(1, 101), (2, 103)], 2, 103),
            (&all[..2], 2, 101),
        ] {
            assert!(judge(kept, in_force, runs).is_err(), "{kept:?} {in_force} {runs}");
        }
        assert!(cut_off().compare(&Found::default()).is_err());
    }

    #[test]
    fn what_is_older_than_what_is_kept_may_be_gone() {
        let (new, older) = ([(2, 102), (51, 103)], [(2, 102), (50, 103)]);
        assert_eq!(judge(&new, 51, 103).unwrap(), InForce::InFlight { generation: 51 });
        assert!(judge(&older, 50, 103).is_err(), "generation 1 is among the last 50");
    }
}
