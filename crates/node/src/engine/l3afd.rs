// SPDX-License-Identifier: Apache-2.0
//! What callers of l3afd v1 ask of the engine that nobody else does.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use kernel::whole_number;
use package::{Digest, Format, HookPoint, MemberName, Privileges};
use plan::Member;
use trust::{Assurance, Circumstances, Evidence, FoundPlatform, Judgement, Occasion};
use wire::l3afd::{self, Release};
use wire::{Applied, Document};

use super::Engine;
use super::accept::{Conditions, Order};
use crate::Rejected;
use crate::access::Asker;
use crate::fetch::Fetched;
use crate::policy::PolicyFiles;
use crate::resolve::Demand;

impl Engine {
    /// Accepts what a caller of the API of l3afd v1 asks for.
    ///
    /// # Errors
    /// When any part of it is refused; then the generation before is in force as if nothing had been asked.
    pub(crate) fn apply_l3afd(
        &mut self,
        document: Document,
        Conditions { expected, .. }: Conditions,
        fetched: &Fetched,
        asker: &Asker,
    ) -> Result<Applied, Rejected> {
        self.may_apply()?;
        self.accept(document, Order { expected, ..Order::new(Demand::New, asker) }, fetched)
    }

    /// Whether a release of the daemon may be started: as a program that is root, which it will be.
    ///
    /// # Errors
    /// When the policy does not trust it so.
    pub(crate) fn judge_release(&self, release: &Release, found: &l3afd::Found) -> Result<(), Rejected> {
        let policy = PolicyFiles::read(&self.parts.config.policy)?.policy()?;
        let entry = FoundPlatform::file(self.parts.machine.clone(), Format::Elf, Digest::of(&found.bytes));
        let named = trust::Found::object(release.named(found), entry);
        let named = trust::Found { privileges: Privileges::Root, ..named };
        let remembered = self.memory.read()?;
        // The configuration says where releases are fetched from; what a policy says of that place counts besides.
        let fetched_from = release.on_network().filter(|place| policy.repository(place).is_some());
        let envelopes = found.statement.iter().cloned().collect();
        let evidence = Evidence { envelopes, fetched_from, ..Evidence::default() };
        let at = Circumstances {
            policy: &policy,
            machine: &self.parts.machine,
            memory: &remembered.accepted,
            now: (self.parts.clock)(),
            looked: remembered.looked,
            occasion: Occasion::Deployment,
        };
        let Judgement { outcome, explanation } = trust::judge(&named, &evidence, &at);
        let reference = release.url().to_string();
        match outcome {
            Ok(Assurance::None) => {
                tracing::warn!("mode `normal`: `{reference}` is NOT verified, and is installed");
                Ok(())
            }
            Ok(_) => Ok(()),
            Err(refused) => Err(Rejected::Untrusted { reference, source: Box::new(refused), explanation }),
        }
    }

    /// Takes over what a l3afd v1 left attached: it runs on until chains take its place.
    pub(crate) fn inherit(&mut self, bpf_maps: &Path) -> Result<(), Rejected> {
        let hooks = self.parts.kernel.inherit(&bpf_maps.join("links"), &bpf_maps.join("progs"))?;
        self.inherits |= !hooks.is_empty();
        for hook in hooks {
            tracing::info!("`{hook}`: what a l3afd v1 attached runs until a chain takes its place");
        }
        Ok(())
    }

    /// Whether everything was taken off by hand.
    pub(crate) fn is_detached(&self) -> bool {
        self.generations.is_detached()
    }

    /// Whether all programs in user space got to where their work goes on by itself.
    pub(crate) fn have_user_programs_begun(&self) -> bool {
        self.user_programs.have_begun()
    }

    /// The whole number in a map of a program of l3afd v1, or of a probe where it is at no place; none where there is no such
    /// program, map or entry.
    pub(crate) fn value_of_l3afd(
        &self,
        place: Option<(&str, HookPoint)>,
        name: &MemberName,
        (map, key): (&str, i64),
    ) -> Option<u64> {
        let maps = place.map_or_else(|| self.maps_of_probe(name), |place| self.maps_at(place, name))?;
        maps.get(map).and_then(|pinned| whole_number(pinned, key).ok().flatten())
    }

    fn maps_of_probe(&self, name: &MemberName) -> Option<BTreeMap<String, PathBuf>> {
        let probe = self.desired.as_ref()?.probes().get(name)?;
        self.parts.kernel.probe_maps(probe.spec()).ok()
    }

    fn maps_at(&self, place: (&str, HookPoint), name: &MemberName) -> Option<BTreeMap<String, PathBuf>> {
        let desired = self.desired.as_ref()?;
        let (hook, chain) = desired.chains().iter().find(|(hook, _)| {
            (hook.interface.name.as_ref(), hook.point) == place && hook.interface.namespace.is_none()
        })?;
        let spec = chain.iter().map(Member::spec).find(|spec| spec.name == *name)?;
        self.parts.kernel.maps(hook, spec).ok()
    }
}
