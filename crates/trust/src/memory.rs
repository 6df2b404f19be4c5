// SPDX-License-Identifier: Apache-2.0
//! What a machine has accepted so far. Nothing older takes its place.

use std::collections::BTreeMap;

use jiff::Timestamp;
use package::{PackageName, PublisherName, Version};
use serde::{Deserialize, Serialize};

use crate::Verified;
use crate::verify::Assurance;

/// The newest that was accepted: of each package a version, of all statements a time.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Memory {
    #[serde(default)]
    newest_statement: Option<Timestamp>,
    #[serde(default)]
    versions: BTreeMap<PublisherName, BTreeMap<PackageName, Version>>,
}

impl Memory {
    /// Remembers a package that was accepted for deployment. What was not verified teaches nothing.
    pub fn remember(&mut self, verified: &Verified) {
        let Assurance::Signed { created, .. } = verified.assurance() else { return };
        self.newest_statement = self.newest_statement.max(Some(*created));
        let info = &verified.package().manifest.package;
        let version = self.versions.entry(info.publisher.clone()).or_default().entry(info.name.clone());
        let newest = version.or_insert_with(|| info.version.clone());
        if *newest < info.version {
            *newest = info.version.clone();
        }
    }

    /// The highest version of a package that was accepted.
    pub fn version(&self, publisher: &PublisherName, package: &PackageName) -> Option<&Version> {
        self.versions.get(publisher)?.get(package)
    }

    /// The time to go by: a clock that runs behind the newest accepted statement is wrong.
    pub fn time(&self, clock: Timestamp) -> Timestamp {
        self.newest_statement.map_or(clock, |newest| newest.max(clock))
    }
}
