// SPDX-License-Identifier: Apache-2.0
//! The checks of a generation on trial, as far as they are the engine's: which there are, what members drop, and what follows.

use std::collections::BTreeMap;

use plan::{Hook, Hooks};
use wire::{Check, Document, DropsDocument};

use super::Engine;
use crate::Rejected;
use crate::check::{Checks, Dropped};
use crate::faults::Faults;

impl Engine {
    /// The checks of the generation that is on trial; none where it has none.
    pub(crate) fn checks(&self) -> Option<Checks> {
        let trial = self.trial().ok().flatten()?;
        let checks = self.settle_checks(&self.kept(trial.number).ok()?.document).ok()?;
        (!checks.is_empty()).then_some(Checks { generation: trial.number, checks })
    }

    /// What the checks of a document do.
    pub(super) fn settle_checks(&self, document: &Document) -> Result<BTreeMap<String, Check>, Rejected> {
        let (mut checks, mut faults) = (BTreeMap::new(), Faults::default());
        for (number, wanted) in document.checks.iter().enumerate() {
            let at = format!("/check/{number}");
            let Some(check) = faults.take(&at, wanted.check()) else { continue };
            let problem = match &check {
                Check::Command(name) if !self.parts.config.commands.contains_key(name) => {
                    Some(format!("the configuration of the daemon has no command `{name}`"))
                }
                Check::Drops(bound) => unfit_drops(document, bound),
                Check::Ping(_) | Check::Tcp(_) | Check::Http(_) | Check::Command(_) => None,
            };
            let twice =
                checks.insert(wanted.name.clone(), check).map(|_| "there are two of this name".to_owned());
            let unfit = problem.or(twice).map(|problem| {
                let check = wanted.name.clone();
                Rejected::UnfitCheck { check, problem }
            });
            faults.take(&at, unfit.map_or(Ok(()), Err));
        }
        faults.refuse().map(|()| checks)
    }

    /// What a member saw and dropped so far, at all hooks that are meant.
    ///
    /// # Errors
    /// When the kernel cannot be read.
    pub(crate) fn dropped(&self, bound: &DropsDocument) -> Result<Dropped, Rejected> {
        let mut sum = Dropped::default();
        let interfaces = self.observe(&self.in_force())?.interfaces;
        let meant = bound.on.as_deref().and_then(|on| on.parse::<Hooks>().ok());
        for chain in self.chains()?.chains {
            let hook = Hook { interface: chain.interface, point: chain.hook };
            let address = interfaces.get(&hook.interface).copied().flatten();
            if meant.as_ref().is_some_and(|meant| !meant.contain(&hook, address)) {
                continue;
            }
            for member in chain.members.iter().filter(|member| member.name == bound.member) {
                let left = |verdict| member.left.get(verdict).map_or(0, |count| count.packets);
                sum.seen += member.seen.packets;
                sum.dropped += left("drop") + left("aborted") + left("shot");
            }
        }
        Ok(sum)
    }

    /// Takes note of how the checks of a generation ended. One that failed too often ends its trial at once.
    ///
    /// # Errors
    /// When the generation before cannot be reached.
    pub(crate) fn checked(
        &mut self,
        generation: u64,
        all_pass: bool,
        failed: Option<String>,
    ) -> Result<(), Rejected> {
        let Some(trial) = self.trial()?.filter(|trial| trial.number == generation) else { return Ok(()) };
        self.checks_pass = all_pass;
        failed.map_or(Ok(()), |why| self.return_from(&trial, &why).map(drop))
    }
}

/// Why a document cannot have a bound.
fn unfit_drops(document: &Document, bound: &DropsDocument) -> Option<String> {
    if bound.at_most_percent > 100 {
        return Some(format!("`at_most_percent` goes to 100, and is {}", bound.at_most_percent));
    }
    if let Some(Err(bad)) = bound.on.as_deref().map(str::parse::<Hooks>) {
        return Some(bad.to_string());
    }
    (!has_member(document, bound)).then(|| format!("no such chain has a member `{}`", bound.member))
}

/// Whether a document has what a bound is for.
pub(super) fn has_member(document: &Document, bound: &DropsDocument) -> bool {
    document.chains.iter().any(|chain| {
        let hooks = Hooks { interfaces: chain.interface.clone(), point: chain.hook };
        let is_here = bound.on.as_ref().is_none_or(|on| {
            // One of the interfaces that match may be meant.
            let meant = on.parse::<Hooks>().ok();
            meant.is_some_and(|on| on == hooks || on.only().is_some_and(|hook| hooks.contain(&hook, None)))
        });
        is_here && chain.members.iter().any(|member| member.name == bound.member)
    })
}
