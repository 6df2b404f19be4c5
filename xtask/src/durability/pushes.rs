// SPDX-License-Identifier: Apache-2.0
//! What a hub acknowledged, remembered where no power goes off, and compared with what it has after a boot.

use std::collections::BTreeSet;

use anyhow::{Result, bail, ensure};

use super::fact::Fact;
use super::ledger::Ledger;

/// What the hub said so far.
#[derive(Debug, Default)]
pub(super) struct Pushes {
    acknowledged: BTreeSet<u64>,
    /// The artifacts that are being pushed.
    in_flight: BTreeSet<u64>,
    /// How many of those were there afterwards, and how many were not.
    arrived: usize,
    gone: usize,
}

impl Ledger for Pushes {
    fn hear(&mut self, fact: &Fact) -> Result<()> {
        match *fact {
            Fact::Begun { mark } => drop(self.in_flight.insert(mark)),
            Fact::Pushed { mark } => {
                ensure!(
                    self.in_flight.remove(&mark),
                    "artifact {mark} was acknowledged, and nobody pushed it"
                );
                self.acknowledged.insert(mark);
            }
            Fact::Kept { .. }
            | Fact::InForce { .. }
            | Fact::Runs { .. }
            | Fact::Whole { .. }
            | Fact::Complete
            | Fact::Acknowledged { .. } => bail!("a hub that is pushed to tells `{fact:?}`"),
        }
        Ok(())
    }

    fn in_flight(&self) -> bool {
        !self.in_flight.is_empty()
    }

    fn acknowledged(&self) -> usize {
        self.acknowledged.len()
    }

    /// What is there was told to somebody, and must stay from now on.
    fn judge(&mut self, told: &[Fact]) -> Result<String> {
        let whole = told.iter().map(|fact| match *fact {
            Fact::Whole { mark } => Ok(mark),
            Fact::Kept { .. }
            | Fact::InForce { .. }
            | Fact::Runs { .. }
            | Fact::Complete
            | Fact::Begun { .. }
            | Fact::Acknowledged { .. }
            | Fact::Pushed { .. } => bail!("a hub tells `{fact:?}` after a boot"),
        });
        let whole: BTreeSet<u64> = whole.collect::<Result<_>>()?;
        let lost: Vec<_> = self.acknowledged.difference(&whole).collect();
        ensure!(lost.is_empty(), "the artifacts {lost:?} were acknowledged, and are not there");
        let more: Vec<_> = whole.difference(&self.acknowledged).copied().collect();
        let unknown: Vec<_> = more.iter().filter(|mark| !self.in_flight.contains(mark)).collect();
        ensure!(unknown.is_empty(), "nobody pushed the artifacts {unknown:?}");
        self.arrived += more.len();
        self.gone += self.in_flight.len() - more.len();
        self.in_flight.clear();
        let count = whole.len();
        self.acknowledged = whole;
        Ok(format!("{count} artifacts are whole, {} of them without having been acknowledged", more.len()))
    }

    fn sum_up(&self) -> String {
        format!(
            "Of {} artifacts that were acknowledged, or found after a boot, each was whole ever after, and the check found no problem.\n\
             Of those that were being pushed {} were there and {} were not.",
            self.acknowledged.len(),
            self.arrived,
            self.gone
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A hub that acknowledged the artifacts 1 and 2, and was cut off in 3 and 4.
    fn cut_off() -> Pushes {
        let mut pushes = Pushes::default();
        for mark in 1..=4 {
            pushes.hear(&Fact::Begun { mark }).unwrap();
        }
        for mark in 1..=2 {
            pushes.hear(&Fact::Pushed { mark }).unwrap();
        }
        pushes
    }

    fn judge(pushes: &mut Pushes, whole: &[u64]) -> Result<String> {
        let told: Vec<Fact> = whole.iter().map(|mark| Fact::Whole { mark: *mark }).collect();
        pushes.judge(&told)
    }

    #[test]
    fn what_was_in_flight_may_be_there_and_stays_then() {
        let mut pushes = cut_off();
        assert!(judge(&mut pushes, &[1, 2, 4]).is_ok());
        assert!(!pushes.in_flight() && (pushes.arrived, pushes.gone) == (1, 1));
        assert!(judge(&mut pushes, &[1, 2]).is_err(), "it was there before");
    }

    #[test]
    fn whatever_else_there_is_is_told() {
        for whole in [&[1][..], &[1, 2, 5], &[]] {
            assert!(judge(&mut cut_off(), whole).is_err(), "{whole:?}");
        }
        assert!(cut_off().judge(&[Fact::Runs { mark: 1 }]).is_err());
        assert!(cut_off().hear(&Fact::Pushed { mark: 7 }).is_err());
    }
}
