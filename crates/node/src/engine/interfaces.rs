// SPDX-License-Identifier: Apache-2.0
//! What the maps of programs are, as their objects and manifests say. A package that was verified does not change, so that its objects
//! are looked into once and not each time that somebody reads or writes an entry.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use maps::Map;
use package::{Digest, InterfaceError, ProgramName};
use trust::Verified;

/// How many objects are remembered. All are forgotten when there are more: those that run come back one by one.
const MOST: usize = 256;

/// Objects, by the release and the path of the object in it.
type Known = BTreeMap<(Digest, String), Arc<[Map]>>;

/// The maps of objects that were looked into.
#[derive(Debug, Default)]
pub(crate) struct Interfaces(Mutex<Known>);

impl Interfaces {
    /// The maps of the object of a program.
    ///
    /// # Errors
    /// When the object does not say what is in them, or not what the manifest says.
    pub(crate) fn maps(
        &self,
        verified: &Verified,
        function: &ProgramName,
    ) -> Result<Arc<[Map]>, InterfaceError> {
        let package = verified.package();
        let program = package.manifest.program(function);
        let path = program.expect("a program that runs is one of its package").object.clone();
        let key = (package.index, path);
        if let Some(known) = self.known().get(&key) {
            return Ok(Arc::clone(known));
        }
        let object = verified.platform().files.bytes(&key.1).unwrap_or_default();
        let found: Arc<[Map]> = package.manifest.interface(&key.1, object)?.maps.into();
        let mut known = self.known();
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(key, Arc::clone(&found));
        Ok(found)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
