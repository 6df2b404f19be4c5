// SPDX-License-Identifier: Apache-2.0
//! From a document to a desired state: fetch each package, verify it, settle each member.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fs, io};

use package::{Blobs, Package, Platform};
use plan::{Desired, Hook, Member, MemberWish, Placement, Probe, ProbeWish};
use trust::{Circumstances, Evidence, Memory, Occasion, Policy, PolicyDocument, Verified};
use wire::{ChainDocument, Document, Layout, MemberDocument, ProbeDocument, Reference};

use crate::Rejected;
use crate::generation::Pinned;
use crate::store::{Recorder, Store};

/// Turns references into verified packages.
pub(crate) struct Resolver<'a> {
    pub(crate) store: &'a Store,
    pub(crate) policy: &'a Policy,
    pub(crate) machine: &'a Platform,
    pub(crate) now: jiff::Timestamp,
}

/// A document with every reference settled.
pub(crate) struct Resolved {
    pub(crate) desired: Desired,
    pub(crate) packages: BTreeMap<String, Pinned>,
    /// What the caller should know although nothing is wrong.
    pub(crate) notes: Vec<String>,
}

impl Resolver<'_> {
    /// Settles a document. References in `kept` stand for what they stood for then and need no fetching.
    pub(crate) fn resolve(
        &self,
        document: &Document,
        kept: &BTreeMap<String, Pinned>,
    ) -> Result<Resolved, Rejected> {
        let mut resolved =
            Resolved { desired: Desired::default(), packages: BTreeMap::new(), notes: Vec::new() };
        let mut verified: BTreeMap<&str, Arc<Verified>> = BTreeMap::new();
        let in_chains = document.chains.iter().flat_map(|chain| &chain.members);
        let references = in_chains.map(|member| member.package.as_str());
        for reference in references.chain(document.probes.iter().map(|probe| probe.package.as_str())) {
            if verified.contains_key(reference) {
                continue;
            }
            let pinned = match kept.get(reference) {
                Some(pinned) => pinned.clone(),
                None => self.fetch(reference)?,
            };
            let package = self.verify(reference, &pinned)?;
            note_user_program(&package, &mut resolved.notes);
            resolved.packages.insert(reference.to_owned(), pinned);
            verified.insert(reference, Arc::new(package));
        }
        for chain in &document.chains {
            let hook = Hook { interface: chain.interface.clone(), point: chain.hook };
            if resolved.desired.chains().contains_key(&hook) {
                return Err(Rejected::TwoChains { hook });
            }
            let members = members(chain, &hook, &verified)?;
            let (mode, position) = (chain.mode, chain.position.clone());
            resolved.desired.place(hook.clone(), Placement { mode, position, occupied: chain.occupied });
            if let Some(mechanism) = chain.mechanism {
                resolved.desired.set_mechanism(hook.clone(), mechanism);
            }
            resolved.desired.chain(hook, members)?;
        }
        for wanted in &document.probes {
            resolved.desired.probe(probe(wanted, &verified)?)?;
        }
        Ok(resolved)
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
        let envelopes = layout.envelopes().map_err(|error| unfetched(error.into()))?;
        let recorder = Recorder::new(&layout);
        read(&recorder, reference, &Pinned { index, statements: Vec::new() })?;
        let keep = || -> io::Result<Vec<_>> {
            for blob in recorder.into_blobs() {
                self.store.keep(&blob)?;
            }
            envelopes.iter().map(|envelope| self.store.keep(envelope)).collect()
        };
        let statements = keep().map_err(|source| Rejected::State { action: "keep a package", source })?;
        Ok(Pinned { index, statements })
    }

    fn verify(&self, reference: &str, pinned: &Pinned) -> Result<Verified, Rejected> {
        /// What [`trust`] accepts as an envelope.
        const ENVELOPE_BYTES: u64 = 4 * 1024 * 1024;
        let package = read(self.store, reference, pinned)?;
        let envelopes = pinned.statements.iter().map(|digest| self.store.blob(digest, ENVELOPE_BYTES));
        let envelopes: Vec<Vec<u8>> = envelopes.collect::<Result<_, _>>().map_err(|source| {
            Rejected::Unfetched { reference: reference.to_owned(), source: source.into() }
        })?;
        let fetched_from = fetched_from(reference);
        let evidence = Evidence { envelopes, roots: Vec::new(), fetched_from };
        let at = Circumstances {
            policy: self.policy,
            machine: self.machine,
            memory: &Memory::default(),
            now: self.now,
            looked: None,
            occasion: Occasion::Deployment,
        };
        trust::verify(package, &evidence, &at).outcome.map_err(|source| Rejected::Untrusted {
            reference: reference.to_owned(),
            source: Box::new(source),
        })
    }
}

fn read(blobs: &dyn Blobs, reference: &str, pinned: &Pinned) -> Result<Package, Rejected> {
    Package::read(blobs, &pinned.index)
        .map_err(|source| Rejected::Unreadable { reference: reference.to_owned(), source })
}

/// Where a package in a registry came from. The rule of repositories is asked each time that it is verified.
fn fetched_from(reference: &str) -> Option<String> {
    Reference::in_uri(reference)?.ok().map(|reference| reference.to_string())
}

fn folder(reference: &str) -> Result<PathBuf, Rejected> {
    let path = reference.strip_prefix("file:").map(|path| path.strip_prefix("//").unwrap_or(path));
    match path.map(Path::new) {
        Some(path) if path.is_absolute() => Ok(path.to_owned()),
        Some(_) | None => Err(Rejected::Reference { reference: reference.to_owned() }),
    }
}

fn members(
    chain: &ChainDocument,
    hook: &Hook,
    verified: &BTreeMap<&str, Arc<Verified>>,
) -> Result<Vec<Member>, Rejected> {
    let member = |wanted: &MemberDocument| {
        let wish = MemberWish {
            program: wanted.program.clone(),
            proceed: wanted.proceed.clone(),
            enforcement: wanted.enforcement,
            disabled: !wanted.enabled,
            config: wanted.config.clone(),
        };
        let package = &verified[wanted.package.as_str()];
        Member::new(wanted.name.clone(), hook.point, package, wish)
            .map_err(|source| Rejected::Unfit { hook: hook.clone(), source })
    };
    chain.members.iter().map(member).collect()
}

fn probe(wanted: &ProbeDocument, verified: &BTreeMap<&str, Arc<Verified>>) -> Result<Probe, Rejected> {
    let wish = ProbeWish {
        program: wanted.program.clone(),
        attach: wanted.attach.clone(),
        disabled: !wanted.enabled,
        config: wanted.config.clone(),
    };
    Probe::new(wanted.name.clone(), &verified[wanted.package.as_str()], wish)
        .map_err(|source| Rejected::UnfitProbe { probe: wanted.name.clone(), source })
}

fn note_user_program(verified: &Verified, notes: &mut Vec<String>) {
    let manifest = &verified.package().manifest;
    if let Some(user) = &manifest.user {
        notes.push(format!(
            "package `{}` has a user program, `{}`; l3afd does not start it",
            manifest.package.name, user.command
        ));
    }
}

/// Reads the policy. No file means the default, under which nothing verifies; a file that cannot be used is an error.
pub(crate) fn read_policy(path: &Path) -> Result<Policy, Rejected> {
    let rejected =
        |source: Box<dyn std::error::Error + Send + Sync>| Rejected::Policy { path: path.to_owned(), source };
    let text = match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Policy::default()),
        Err(error) => return Err(rejected(error.into())),
        Ok(text) => text,
    };
    let document = PolicyDocument::parse(&text).map_err(|error| rejected(error.into()))?;
    let folder = path.parent().unwrap_or(Path::new("/"));
    let mut keys = BTreeMap::new();
    for file in document.files() {
        let key = fs::read_to_string(folder.join(file)).map_err(|error| rejected(error.into()))?;
        keys.insert(file.to_owned(), key);
    }
    document.resolve(&keys).map_err(|error| rejected(error.into()))
}
