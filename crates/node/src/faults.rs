// SPDX-License-Identifier: Apache-2.0
//! What is wrong with a document that can be read: all of it together, each with its place.

use std::fmt;

use plan::{Hooks, Refusal, Refusals, Unfit, UnfitProbe};
use wire::{ChainDocument, Document, Fault};

use crate::Rejected;

impl Rejected {
    /// All that is wrong with what was given, where that is told piece by piece.
    pub(crate) fn faults(&self) -> Vec<Fault> {
        if let Self::Several(faults) = self {
            faults.told()
        } else if let Self::Map(bad) = self {
            bad.faults()
        } else {
            Vec::new()
        }
    }

    /// The same for somebody who gave only what is at a place: places begin there.
    pub(crate) fn outside_of(self, outer: &str) -> Self {
        let Self::Several(Faults(faults)) = self else { return self };
        let inner = |place: String| place.strip_prefix(outer).map(str::to_owned).unwrap_or(place);
        Self::Several(Faults(faults.into_iter().map(|(place, wrong)| (inner(place), wrong)).collect()))
    }
}

/// What is wrong, with the places as JSON pointers (RFC 6901).
#[derive(Debug, Default)]
pub struct Faults(Vec<(String, Rejected)>);

impl Faults {
    /// The value, unless it is wrong; that is noted with its place.
    pub(crate) fn take<T>(&mut self, place: &str, result: Result<T, impl Into<Rejected>>) -> Option<T> {
        result.map_err(|wrong| self.0.push((place.to_owned(), wrong.into()))).ok()
    }

    /// Refuses where anything was noted: as it is where that is one thing without places in it, else with all of it.
    pub(crate) fn refuse(mut self) -> Result<(), Rejected> {
        match self.0.as_slice() {
            [] => Ok(()),
            [(_, only)] if parts(only).is_none() => self.0.pop().map_or(Ok(()), |(_, only)| Err(only)),
            _ => Err(Rejected::Several(self)),
        }
    }

    /// Why a machine cannot run a document, where there is one to look at: each reason with the chain or probe that it is about.
    pub(crate) fn of_plan(refusals: Refusals, document: Option<&Document>) -> Rejected {
        let mut faults = Self::default();
        for refusal in refusals.into_each() {
            let place = document.and_then(|document| place(&refusal, document)).unwrap_or_default();
            faults.0.push((place, refusal.into()));
        }
        faults.refuse().expect_err("there is one reason at least")
    }

    /// What can be done about the first of them.
    pub(crate) fn hint(&self) -> Option<String> {
        self.0.iter().find_map(|(_, rejected)| rejected.hint())
    }

    /// The same for problem details.
    pub(crate) fn told(&self) -> Vec<Fault> {
        let faults = self.0.iter().flat_map(|(place, rejected)| match parts(rejected) {
            Some(parts) => told(parts, &format!("{place}/config")),
            None => vec![Fault {
                pointer: place.clone(),
                value: None,
                detail: rejected.problem().to_string(),
                line: None,
            }],
        });
        faults.collect()
    }
}

/// What is wrong with values that something is configured with, where it is that.
fn parts(rejected: &Rejected) -> Option<&maps::Faults> {
    let unfit = if let Rejected::Unfit { source, .. } = rejected {
        source
    } else if let Rejected::UnfitProbe { source: UnfitProbe::Config(unfit), .. } = rejected {
        unfit
    } else {
        return None;
    };
    if let Unfit::Config { faults, .. } = unfit { Some(faults) } else { None }
}

/// What is wrong with a value at a place, for problem details.
pub(crate) fn told(faults: &maps::Faults, place: &str) -> Vec<Fault> {
    let told = faults.all().iter().map(|fault| Fault {
        pointer: format!("{place}{}", fault.pointer),
        value: (!fault.given.is_empty()).then(|| fault.given.clone()),
        detail: fault.detail(),
        line: None,
    });
    told.collect()
}

/// Where a document says what cannot be.
fn place(refusal: &Refusal, document: &Document) -> Option<String> {
    if let Refusal::Probe(refusal) = refusal {
        let at = document.probes.iter().position(|probe| probe.name == *refusal.probe())?;
        return Some(format!("/probe/{at}"));
    }
    let hook = refusal.hook()?;
    let hooks = |chain: &ChainDocument| Hooks { interfaces: chain.interface.clone(), point: chain.hook };
    let named = |chain: &ChainDocument| hooks(chain).only().as_ref() == Some(hook);
    let chains = || document.chains.iter();
    // A chain that names its interface comes before those that match it.
    let at =
        chains().position(named).or_else(|| chains().position(|chain| hooks(chain).may_contain(hook)))?;
    Some(format!("/chain/{at}"))
}

impl From<Refusals> for Rejected {
    fn from(refusals: Refusals) -> Self {
        Faults::of_plan(refusals, None)
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.told().iter().try_for_each(|fault| write!(f, "\n  {fault}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_begin_where_somebody_s_own_words_do() {
        let wrong = |place: &str| (place.to_owned(), Rejected::NoTrial);
        let several = Rejected::Several(Faults(vec![wrong("/chain/0/member/0"), wrong("/probe/1")]));
        let places: Vec<String> =
            several.outside_of("/chain/0/member/0").faults().into_iter().map(|fault| fault.pointer).collect();
        assert_eq!(places, ["", "/probe/1"]);
    }
}
