// SPDX-License-Identifier: Apache-2.0
//! What is looked over.

use std::collections::BTreeMap;

use maps::Interface;
use package::{InterfaceError, Manifest, ObjectError};
use thiserror::Error;

/// A package, or an object alone.
#[derive(Debug, Clone, Default)]
pub struct Contents<'a> {
    manifest: Option<&'a Manifest>,
    files: BTreeMap<&'a str, &'a [u8]>,
    beside: Beside,
}

/// What lies beside the sources of a package, and does not come with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Beside {
    /// Nobody knows: it is not looked over where it was written.
    #[default]
    Unknown,
    /// There are tests.
    Tests,
    /// There are none.
    NoTests,
}

/// Something that cannot be looked over.
#[derive(Debug, Error)]
pub enum Unreadable {
    /// An object is not there.
    #[error("there is no `{path}`, which `package.toml` names")]
    Missing {
        /// Its path.
        path: String,
    },
    /// An object is none.
    #[error("`{path}` is not an eBPF object")]
    Object {
        /// Its path.
        path: String,
        /// Why not.
        #[source]
        source: ObjectError,
    },
    /// The maps are not what the manifest says.
    #[error("the maps are not what `package.toml` says")]
    Interface(#[source] InterfaceError),
}

impl<'a> Contents<'a> {
    /// A package: what it says of itself, and all its files.
    pub fn package(
        manifest: &'a Manifest,
        files: impl IntoIterator<Item = (&'a str, &'a [u8])>,
        beside: Beside,
    ) -> Self {
        Self { manifest: Some(manifest), files: files.into_iter().collect(), beside }
    }

    /// An object alone, of which nobody says anything.
    pub fn object(path: &'a str, bytes: &'a [u8]) -> Self {
        Self { manifest: None, files: BTreeMap::from([(path, bytes)]), beside: Beside::Unknown }
    }

    pub(crate) fn manifest(&self) -> Option<&'a Manifest> {
        self.manifest
    }

    pub(crate) fn beside(&self) -> Beside {
        self.beside
    }

    /// The paths of its objects.
    pub(crate) fn objects(&self) -> Vec<&'a str> {
        match self.manifest {
            Some(manifest) => manifest.objects().into_iter().collect(),
            None => self.files.keys().copied().collect(),
        }
    }

    /// What the manifest says of the maps of its objects, by path.
    pub(crate) fn interfaces(&self) -> Result<BTreeMap<String, Interface>, Unreadable> {
        let Some(manifest) = self.manifest else { return Ok(BTreeMap::new()) };
        if let Some(path) = self.objects().into_iter().find(|path| self.file(path).is_none()) {
            return Err(Unreadable::Missing { path: path.to_owned() });
        }
        manifest.interfaces(|path| self.file(path).unwrap_or_default()).map_err(Unreadable::Interface)
    }

    /// The bytes of a file.
    pub(crate) fn file(&self, path: &str) -> Option<&'a [u8]> {
        self.files.get(path).copied()
    }

    /// The paths of all files.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &'a str> {
        self.files.keys().copied()
    }

    /// The text of the documentation; empty where there is none.
    pub(crate) fn documentation(&self) -> String {
        let path = self.manifest.map(|manifest| manifest.package.documentation.as_str());
        let bytes = path.and_then(|path| self.file(path)).unwrap_or_default();
        String::from_utf8_lossy(bytes).into_owned()
    }
}
