// SPDX-License-Identifier: Apache-2.0
//! Where a command has its package from: a folder, or a registry, where `oci://` says so.
//!
//! Of a package in a registry a copy is worked on, with all that refers to it there; a statement that is made goes back.

use std::path::Path;

use package::{Named, Package, Referrer, ReferrerKind};
use tempfile::TempDir;
use wire::{Credentials, Layout, Patience, Reference, Registry, RegistryError};

use crate::arguments::Logins;
use crate::failure::{Failure, Outcome};
use crate::progress::{Reader, watch};

/// A package at hand.
pub(crate) struct PackageSource {
    layout: Layout,
    origin: Option<Origin>,
}

/// The registry that a package was pulled from.
struct Origin {
    reference: Reference,
    registry: Registry,
    /// Holds the copy while the command works.
    _folder: TempDir,
}

impl PackageSource {
    /// Opens a package.
    pub(crate) fn open(place: &Path, logins: &Logins) -> Result<Self, Failure> {
        let Some(reference) = reference(place) else {
            return Ok(Self { layout: Layout::open(place)?, origin: None });
        };
        let (reference, registry, folder) = (reference?, registry(logins)?, TempDir::new()?);
        let layout = pull(&registry, &reference, folder.path(), Reader::Program)?;
        Ok(Self { layout, origin: Some(Origin { reference, registry, _folder: folder }) })
    }

    /// Opens a package, if that is what is there and not a file.
    pub(crate) fn find(place: &Path, logins: &Logins) -> Result<Option<Self>, Failure> {
        if reference(place).is_some() || place.is_dir() {
            Self::open(place, logins).map(Some)
        } else {
            Ok(None)
        }
    }

    /// Reads the package; an image that is none is called by where it is.
    pub(crate) fn package(&self) -> Result<Package, Failure> {
        let index = self.layout.index()?;
        if self.layout.is_package()? {
            return Ok(Package::read(&self.layout, &index)?);
        }
        Ok(Package::of_image(&self.layout, &index, &self.placed()?)?)
    }

    /// What an image that is no package is called by where it is.
    pub(crate) fn placed(&self) -> Result<Named, Failure> {
        let place = match &self.origin {
            Some(origin) => origin.reference.uri(),
            None => format!("file:{}", self.layout.folder().display()),
        };
        Ok(wire::placed(&place, &self.layout.index()?))
    }

    /// The folder that it is in, or that it was copied into.
    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// What refers to it, of one kind.
    pub(crate) fn referrers(&self, kind: ReferrerKind) -> Result<Vec<Vec<u8>>, Failure> {
        Ok(self.layout.referrers(kind)?)
    }

    /// The reference that it was fetched by; nothing for a folder.
    pub(crate) fn fetched_from(&self) -> Option<String> {
        self.origin.as_ref().map(|origin| origin.reference.to_string())
    }

    /// Adds what refers to it where the package is.
    pub(crate) fn keep(&self, referrer: &Referrer) -> Outcome {
        match &self.origin {
            None => Ok(self.layout.refer(referrer)?),
            Some(Origin { reference, registry, .. }) => {
                let package = self.layout.package()?;
                wait(registry.push_referrer(&reference.repository, &package, referrer))
            }
        }
    }
}

/// The reference that stands where a folder could, if one does.
fn reference(place: &Path) -> Option<Result<Reference, wire::BadReference>> {
    Reference::in_uri(place.to_str()?)
}

/// Pulls a package, and what refers to it, into a folder.
pub(crate) fn pull(
    registry: &Registry,
    reference: &Reference,
    folder: &Path,
    reader: Reader,
) -> Result<Layout, Failure> {
    let layout = Layout::begin(folder);
    let repository = &reference.repository;
    let (package, referrers) = watch(registry, ("pulling", reader), async {
        let digest = registry.resolve(reference).await?;
        let package = registry.pull(repository, &digest, &layout).await?;
        let referrers = registry.referrers(repository, &digest, &ReferrerKind::ALL, &layout).await?;
        Ok((package, referrers))
    })?;
    layout.complete(package)?;
    for referrer in &referrers {
        layout.refer(referrer)?;
    }
    Ok(layout)
}

/// A client with the logins of whoever runs the command.
pub(crate) fn registry(logins: &Logins) -> Result<Registry, Failure> {
    let credentials = match logins.file() {
        Some(file) => Credentials::read(&file)?,
        None => Credentials::default(),
    };
    Ok(Registry::new(credentials, Patience::default()))
}

/// Waits for a registry.
pub(crate) fn wait<T>(work: impl Future<Output = Result<T, RegistryError>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(work)?)
}
