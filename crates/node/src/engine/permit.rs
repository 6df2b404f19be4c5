// SPDX-License-Identifier: Apache-2.0
//! Whether whoever asks may change what a change touches. It is asked when packages are verified, so that they are of whom they say,
//! and before anything is different.

use std::collections::BTreeMap;

use wire::Document;

use super::Engine;
use crate::Rejected;
use crate::access::{Asker, ChangeEnd, Ware};
use crate::generation::{Generation, Pinned};

impl Engine {
    /// Refuses a change of the desired state that touches what whoever asks may not touch.
    pub(super) fn may_change(
        &self,
        asker: &Asker,
        before: Option<&Generation>,
        (document, packages): (&Document, &BTreeMap<String, Pinned>),
    ) -> Result<(), Rejected> {
        if !asker.is_judged() {
            return Ok(());
        }
        let before = before.map(|before| self.end_of(&before.document, &before.packages));
        let after = self.end_of(document, packages);
        Ok(asker.may(&before.unwrap_or_default(), &after)?)
    }

    /// Refuses to take everything off, what is on trial and what would return after it.
    pub(super) fn may_stop_all(&self, asker: &Asker) -> Result<(), Rejected> {
        let nothing = (&Document::default(), &BTreeMap::new());
        let current = self.current()?;
        if self.trial()?.is_some()
            && let Some(current) = &current
        {
            self.may_change(asker, Some(&self.kept(current.previous)?), nothing)?;
        }
        self.may_change(asker, current.as_ref(), nothing)
    }

    fn end_of(&self, document: &Document, packages: &BTreeMap<String, Pinned>) -> ChangeEnd {
        let digests =
            packages.iter().map(|(reference, pinned)| (reference.clone(), pinned.index.to_string()));
        let generation =
            wire::Generation { number: 0, document: document.clone(), packages: digests.collect() };
        // What cannot be read any more is of nobody.
        let wares = packages.iter().filter_map(|(reference, pinned)| {
            let manifest = pinned.read(&self.store).ok()?.manifest.package;
            let (publisher, name) = (manifest.publisher.to_string(), manifest.name.to_string());
            Some((reference.clone(), Ware { publisher, name, version: manifest.version.to_string() }))
        });
        ChangeEnd { generation, wares: wares.collect() }
    }
}
