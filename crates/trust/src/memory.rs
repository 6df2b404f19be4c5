// SPDX-License-Identifier: Apache-2.0
//! What a machine has accepted so far. Nothing older takes its place.

use std::collections::BTreeMap;

use jiff::Timestamp;
use package::{PackageName, PublisherName, Version};
use serde::{Deserialize, Serialize};

use crate::verify::Assurance;
use crate::{Policy, Root, Verified};

/// The newest that was accepted: of each package a version, of each publisher a root, of all statements a time.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Memory {
    #[serde(default)]
    newest_statement: Option<Timestamp>,
    #[serde(default)]
    versions: BTreeMap<PublisherName, BTreeMap<PackageName, Version>>,
    /// The texts of the versions of each publisher's root, as far as they counted.
    #[serde(default)]
    roots: BTreeMap<PublisherName, Vec<String>>,
}

impl Memory {
    /// Remembers a package that was accepted for deployment. What was not verified teaches nothing.
    pub fn remember(&mut self, verified: &Verified) {
        let Assurance::Signed { created, roots, .. } = verified.assurance() else { return };
        self.newest_statement = self.newest_statement.max(Some(*created));
        let info = &verified.package().manifest.package;
        if !roots.is_empty() {
            // They were found among those that are remembered and those that came along, so they reach as far.
            self.roots.insert(info.publisher.clone(), roots.clone());
        }
        let version = self.versions.entry(info.publisher.clone()).or_default().entry(info.name.clone());
        let newest = version.or_insert_with(|| info.version.clone());
        if *newest < info.version {
            *newest = info.version.clone();
        }
    }

    /// Learns versions of roots, wherever they come from: of each publisher those that follow from a version that is pinned or
    /// remembered. What a newer version says of keys goes for all packages, also for those that it did not come with.
    pub fn learn(&mut self, policy: &Policy, roots: &[Vec<u8>]) {
        let remembered = self.roots.iter().filter_map(|(name, texts)| Some((name, texts.first()?)));
        let remembered =
            remembered.filter_map(|(name, text)| Some((name, Root::pinned(text.as_bytes()).ok()?)));
        let pinned = policy.publishers.iter();
        let pinned = pinned.filter_map(|publisher| Some((&publisher.name, publisher.anchor.root(roots)?)));
        let ours =
            |(name, root): &(&PublisherName, Root)| root.publisher().is_none_or(|other| other == *name);
        let first: BTreeMap<PublisherName, Root> =
            remembered.chain(pinned).filter(ours).map(|(name, root)| (name.clone(), root)).collect();
        for (name, root) in first {
            let known = self.roots.entry(name).or_default();
            let texts = known.iter().map(String::as_bytes).chain(roots.iter().map(Vec::as_slice));
            let reached = root.walk(&texts.collect::<Vec<_>>());
            if reached.len() > known.len() {
                *known = reached.iter().map(|root| root.text().to_owned()).collect();
            }
        }
        self.roots.retain(|_, texts| !texts.is_empty());
    }

    /// The highest version of a package that was accepted.
    pub fn version(&self, publisher: &PublisherName, package: &PackageName) -> Option<&Version> {
        self.versions.get(publisher)?.get(package)
    }

    /// The texts of the versions of a publisher's root that were seen.
    pub(crate) fn roots(&self, publisher: &PublisherName) -> &[String] {
        self.roots.get(publisher).map_or(&[], Vec::as_slice)
    }

    /// The time to go by: a clock that runs behind the newest accepted statement is wrong.
    pub fn time(&self, clock: Timestamp) -> Timestamp {
        self.newest_statement.map_or(clock, |newest| newest.max(clock))
    }
}
