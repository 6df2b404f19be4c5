// SPDX-License-Identifier: Apache-2.0
//! From a document to a desired state: fetch each package, verify it, settle each member.

mod deployment;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use package::{Blobs, Digest, Package, Platform, ReferrerKind};
use plan::{Desired, DuplicateMember, Hooks, Member, MemberWish, Placement, Probe, ProbeWish, UnfitProbe};
use trust::{Circumstances, Evidence, Explanation, Judgement, Occasion, Policy, Verified};
use wire::l3afd::Place;
use wire::{ChainDocument, Document, Layout, MemberDocument, ProbeDocument, Reference, Source};

use crate::Rejected;
use crate::evidence::Found;
use crate::faults::Faults;
use crate::generation::Pinned;
use crate::l3afd::{self, Places};
use crate::memory::Remembered;
use crate::standing::{Explanations, Standing, Withdrawn, probe_hook};
use crate::store::{Recorder, Store};

pub(crate) use self::deployment::BadDeployment;

/// What [`trust`] accepts as an envelope, and as a root.
pub(crate) const MAX_DOCUMENT_BYTES: u64 = 4 * 1024 * 1024;

/// Turns references into verified packages.
pub(crate) struct Resolver<'a> {
    pub(crate) store: &'a Store,
    pub(crate) policy: &'a Policy,
    pub(crate) machine: &'a Platform,
    pub(crate) remembered: &'a Remembered,
    pub(crate) now: jiff::Timestamp,
    /// What references into registries stand for.
    pub(crate) fetched: &'a BTreeMap<String, Pinned>,
    /// What was found about packages after they were fetched.
    pub(crate) found: &'a Found,
    /// The packages of the generation in force: they were accepted before.
    pub(crate) accepted: &'a BTreeMap<String, Pinned>,
    /// Where things of l3afd v1 are.
    pub(crate) places: &'a Places,
    /// Makes room for so many bytes.
    pub(crate) room: &'a dyn Fn(u64) -> Result<(), Rejected>,
}

/// A document with every reference settled.
#[derive(Default)]
pub(crate) struct Resolved {
    pub(crate) desired: Desired,
    pub(crate) packages: BTreeMap<String, Pinned>,
    pub(crate) explanations: Explanations,
    /// The packages that are trusted no longer.
    pub(crate) withdrawn: Vec<Withdrawn>,
    /// What is wrong with it so far.
    faults: Faults,
}

/// What becomes of a document when a package in it is not trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Demand {
    /// It is new, and all of it must be trusted. References are fetched.
    New,
    /// It was in force before, and all of it must be trusted still. References stand for what they stood for.
    Again,
    /// It is, or is part of, the generation in force. References stand for what they stood for; what is trusted no longer
    /// is left out, or kept where the policy says so.
    InForce,
}

impl Resolver<'_> {
    /// Settles a document.
    pub(crate) fn resolve(&self, document: &Document, demand: Demand) -> Result<Resolved, Rejected> {
        let mut resolved = Resolved::default();
        let mut standings: BTreeMap<&str, Standing> = BTreeMap::new();
        for reference in document.references() {
            if standings.contains_key(reference) {
                continue;
            }
            let in_force = self.accepted.get(reference).filter(|_| demand == Demand::InForce);
            let pinned = match in_force.or_else(|| self.fetched.get(reference)) {
                Some(pinned) => pinned.clone(),
                None => self.fetch(reference)?,
            };
            let (standing, explanation) = self.stand(reference, &pinned, demand)?;
            resolved.explanations.insert(reference.to_owned(), explanation);
            resolved.packages.insert(reference.to_owned(), pinned);
            standings.insert(reference, standing);
        }
        self.settle(document, &mut standings, &mut resolved)?;
        resolved.withdrawn = standings.into_values().filter_map(Standing::withdrawn).collect();
        Ok(resolved)
    }

    fn settle(
        &self,
        document: &Document,
        standings: &mut BTreeMap<&str, Standing>,
        resolved: &mut Resolved,
    ) -> Result<(), Rejected> {
        let mut places = BTreeSet::new();
        deployment::check(document, &mut resolved.faults);
        for (number, chain) in document.chains.iter().enumerate() {
            let (hooks, at) = (hooks(chain), format!("/chain/{number}"));
            let twice = Rejected::TwoChains { place: hooks.to_string() };
            resolved.faults.take(&at, if places.insert(hooks) { Ok(()) } else { Err(twice) });
            let members = self.settle_members(document, (chain, &at), standings, resolved)?;
            let put = put(&mut resolved.desired, chain, members);
            resolved.faults.take(&at, put);
        }
        self.settle_probes(document, standings, resolved)?;
        std::mem::take(&mut resolved.faults).refuse()?;
        Ok(deployment::check_config(document, &resolved.desired)?)
    }

    fn settle_members(
        &self,
        document: &Document,
        (chain, at): (&ChainDocument, &str),
        standings: &mut BTreeMap<&str, Standing>,
        resolved: &mut Resolved,
    ) -> Result<Vec<Member>, Rejected> {
        let (hooks, mut members) = (hooks(chain), Vec::new());
        for (number, wanted) in chain.members.iter().enumerate() {
            let at = format!("{at}/member/{number}");
            let (place, what) = (hooks.to_string(), format!("{hooks} {}", wanted.name));
            let source = wanted.source(document).map_err(BadDeployment::from);
            let Some(source) = resolved.faults.take(&at, source) else { continue };
            let package = self.runs_at(source.package, (&place, what), standings, resolved)?;
            let settled = package.map(|package| self.member(wanted, source, &hooks, &package));
            let settled = settled.and_then(|settled| resolved.faults.take(&at, settled));
            if let (Some(member), Some(_)) = (&settled, &wanted.l3afd) {
                let probes = l3afd::probes_beside(member, source.deployment.map(deployment::part));
                add_probes(&at, probes, resolved);
            }
            members.extend(settled);
        }
        Ok(members)
    }

    fn settle_probes(
        &self,
        document: &Document,
        standings: &mut BTreeMap<&str, Standing>,
        resolved: &mut Resolved,
    ) -> Result<(), Rejected> {
        for (number, wanted) in document.probes.iter().enumerate() {
            let (at, place) = (format!("/probe/{number}"), probe_hook(&wanted.name));
            let source = wanted.source(document).map_err(BadDeployment::from);
            let Some(source) = resolved.faults.take(&at, source) else { continue };
            let package = self.runs_at(source.package, (&place, place.clone()), standings, resolved)?;
            let settled = package.map(|package| probe(wanted, source, &package));
            let settled = settled.and_then(|settled| resolved.faults.take(&at, settled));
            let put = settled.map_or(Ok(()), |probe| resolved.desired.probe(probe));
            resolved.faults.take(&at, put);
        }
        Ok(())
    }

    fn member(
        &self,
        wanted: &MemberDocument,
        source: Source<'_>,
        hooks: &Hooks,
        package: &Arc<Verified>,
    ) -> Result<Member, Rejected> {
        if let Some(program) = &wanted.l3afd {
            l3afd::check(program, (wanted, hooks), package)?;
        }
        let place = hooks.only().map(|hook| hook.interface.name);
        let old = wanted.l3afd.as_deref().zip(place.as_ref());
        let outside = old.map(|(program, iface)| self.places.outside(program, (iface.as_ref(), hooks.point)));
        let wish = MemberWish {
            program: wanted.program.clone(),
            proceed: wanted.proceed.clone(),
            enforcement: wanted.enforcement,
            disabled: !(wanted.enabled && deployment::is_enabled(source)),
            deployment: source.deployment.map(deployment::part),
            config: wanted.config.clone(),
            fills: wanted.l3afd.as_deref().map(l3afd::fills).unwrap_or_default(),
            outside: outside.unwrap_or_default(),
        };
        Member::new(wanted.name.clone(), hooks.point, package, wish)
            .map_err(|source| Rejected::Unfit { place: hooks.to_string(), source })
    }

    /// The package that runs at a place; none where it is trusted no longer and is to be removed. What becomes of it is
    /// noted.
    fn runs_at(
        &self,
        reference: &str,
        (hook, what): (&str, String),
        standings: &mut BTreeMap<&str, Standing>,
        resolved: &Resolved,
    ) -> Result<Option<Arc<Verified>>, Rejected> {
        let withdrawn = match standings.get_mut(reference).expect("every reference was looked at") {
            Standing::Trusted(package) => return Ok(Some(Arc::clone(package))),
            Standing::Withdrawn(withdrawn) => withdrawn,
        };
        let package = read(self.store, reference, &resolved.packages[reference])?;
        let at = self.circumstances(Occasion::Continuation);
        let kept = trust::keep(package, &withdrawn.refused, hook, &at);
        if kept.is_some() { &mut withdrawn.kept } else { &mut withdrawn.removed }.push(what);
        Ok(kept.map(Arc::new))
    }

    /// Copies a package and its statements into the store.
    fn fetch(&self, reference: &str) -> Result<Pinned, Rejected> {
        let folder = folder(reference)?;
        let unfetched = |source: Box<dyn std::error::Error + Send + Sync>| Rejected::Unfetched {
            reference: reference.to_owned(),
            source,
        };
        let layout = Layout::open(&folder).map_err(|error| unfetched(error.into()))?;
        let index = layout.index().map_err(|error| unfetched(error.into()))?;
        let referrers = |kind| layout.referrers(kind).map_err(|error| unfetched(error.into()));
        let (envelopes, roots) = (referrers(ReferrerKind::Statement)?, referrers(ReferrerKind::Root)?);
        let is_package = layout.is_package().map_err(|error| unfetched(error.into()))?;
        let named = (!is_package).then(|| {
            wire::named(reference, &index, &envelopes, |name| self.policy.publisher(name).is_some())
        });
        let recorder = Recorder::new(&layout);
        let nothing = Vec::new();
        read(
            &recorder,
            reference,
            &Pinned { index, statements: nothing.clone(), roots: nothing, named: named.clone() },
        )?;
        let blobs = recorder.into_blobs();
        let is_missing = |blob: &&Vec<u8>| !self.store.touch(&Digest::of(blob));
        (self.room)(blobs.iter().filter(is_missing).map(|blob| blob.len() as u64).sum())?;
        let keep = || -> io::Result<_> {
            for blob in blobs {
                self.store.keep(&blob)?;
            }
            let all = |bytes: &[Vec<u8>]| {
                bytes.iter().map(|bytes| self.store.keep(bytes)).collect::<io::Result<_>>()
            };
            Ok((all(&envelopes)?, all(&roots)?))
        };
        let (statements, roots) =
            keep().map_err(|source| Rejected::State { action: "keep a package", source })?;
        Ok(Pinned { index, statements, roots, named })
    }

    /// Verifies a package, with what was accepted before as what runs on.
    fn stand(
        &self,
        reference: &str,
        pinned: &Pinned,
        demand: Demand,
    ) -> Result<(Standing, Explanation), Rejected> {
        let is_accepted = self.accepted.values().any(|accepted| accepted.index == pinned.index);
        let occasion = if is_accepted { Occasion::Continuation } else { Occasion::Deployment };
        let Judgement { outcome, explanation } = self.verify(reference, pinned, occasion)?;
        let reference = reference.to_owned();
        match outcome {
            Ok(package) => Ok((Standing::Trusted(Arc::new(package)), explanation)),
            Err(refused) if is_accepted && demand == Demand::InForce => {
                let (removed, kept, told) = (Vec::new(), Vec::new(), explanation.clone());
                let withdrawn = Withdrawn { reference, refused, explanation: told, removed, kept };
                Ok((Standing::Withdrawn(Box::new(withdrawn)), explanation))
            }
            Err(refused) => Err(Rejected::Untrusted { reference, source: Box::new(refused), explanation }),
        }
    }

    fn verify(
        &self,
        reference: &str,
        pinned: &Pinned,
        occasion: Occasion,
    ) -> Result<Judgement<Verified>, Rejected> {
        let package = read(self.store, reference, pinned)?;
        let later = self.found.about(&pinned.index).cloned().unwrap_or_default();
        let stored = |came: &[Digest], later: BTreeSet<Digest>| {
            let digests: BTreeSet<Digest> = came.iter().copied().chain(later).collect();
            let blobs = digests.iter().map(|digest| self.store.blob(digest, MAX_DOCUMENT_BYTES));
            blobs.collect::<Result<Vec<_>, _>>().map_err(|source| Rejected::Unfetched {
                reference: reference.to_owned(),
                source: source.into(),
            })
        };
        let envelopes = stored(&pinned.statements, later.statements)?;
        let roots = stored(&pinned.roots, later.roots)?;
        let evidence = Evidence { envelopes, roots, fetched_from: self.fetched_from(reference) };
        Ok(trust::verify(package, &evidence, &self.circumstances(occasion)))
    }

    /// Where a package in a registry came from. The rule of repositories is asked each time that it is verified. That artifacts may
    /// come from the repository of the configuration was found out when they were fetched.
    fn fetched_from(&self, reference: &str) -> Option<String> {
        if Place::is_meant(reference) {
            let whole = Place::parse(reference).ok()?.on_network()?;
            return self.policy.repository(&whole).map(|_| whole);
        }
        Reference::in_uri(reference)?.ok().map(|reference| reference.to_string())
    }

    fn circumstances(&self, occasion: Occasion) -> Circumstances<'_> {
        Circumstances {
            policy: self.policy,
            machine: self.machine,
            memory: &self.remembered.accepted,
            now: self.now,
            looked: self.remembered.looked,
            occasion,
        }
    }
}

/// Adds what belongs to a member, unless another part of its deployment did.
fn add_probes(at: &str, probes: Result<Vec<Probe>, UnfitProbe>, resolved: &mut Resolved) {
    let unfit = |source| Rejected::UnfitProbe { probe: "beside".parse().expect("it is a name"), source };
    for probe in resolved.faults.take(at, probes.map_err(unfit)).into_iter().flatten() {
        if !resolved.desired.probes().contains_key(&probe.spec().name) {
            let added = resolved.desired.probe(probe);
            resolved.faults.take(at, added);
        }
    }
}

fn read(blobs: &dyn Blobs, reference: &str, pinned: &Pinned) -> Result<Package, Rejected> {
    pinned.read(blobs).map_err(|source| Rejected::Unreadable { reference: reference.to_owned(), source })
}

fn folder(reference: &str) -> Result<PathBuf, Rejected> {
    let path = reference.strip_prefix("file:").map(|path| path.strip_prefix("//").unwrap_or(path));
    match path.map(Path::new) {
        Some(path) if path.is_absolute() => Ok(path.to_owned()),
        Some(_) | None => Err(Rejected::Reference { reference: reference.to_owned() }),
    }
}

fn hooks(chain: &ChainDocument) -> Hooks {
    Hooks { interfaces: chain.interface.clone(), point: chain.hook }
}

/// Has a chain be where a document says.
fn put(desired: &mut Desired, chain: &ChainDocument, members: Vec<Member>) -> Result<(), DuplicateMember> {
    let ChainDocument { mode, occupied, drift, mechanism, .. } = *chain;
    let placement = Placement { mode, position: chain.position.clone(), occupied, drift };
    let hooks = hooks(chain);
    let Some(hook) = hooks.only() else {
        return desired.chain_wherever(hooks, members, placement, mechanism);
    };
    desired.place(hook.clone(), placement);
    if let Some(mechanism) = mechanism {
        desired.set_mechanism(hook.clone(), mechanism);
    }
    desired.chain(hook, members)
}

fn probe(wanted: &ProbeDocument, source: Source<'_>, package: &Arc<Verified>) -> Result<Probe, Rejected> {
    wanted.l3afd.as_ref().map_or(Ok(()), |program| program.check()).map_err(l3afd::Unfit::from)?;
    let wish = ProbeWish {
        program: wanted.program.clone(),
        attach: wanted.attach.clone(),
        disabled: !(wanted.enabled && deployment::is_enabled(source)),
        deployment: source.deployment.map(deployment::part),
        config: wanted.config.clone(),
        fills: wanted.l3afd.as_deref().map(l3afd::fills).unwrap_or_default(),
    };
    Probe::new(wanted.name.clone(), package, wish)
        .map_err(|source| Rejected::UnfitProbe { probe: wanted.name.clone(), source })
}
