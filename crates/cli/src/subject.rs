// SPDX-License-Identifier: Apache-2.0
//! What is signed, verified and shown: a package, or a file that is none.
//!
//! A file is an object for Linux or eBPF for Windows, a native driver of Windows, or an archive with such in it, as l3afd
//! takes them. It says nothing of its publisher, name and version: whoever signs it says them, and whoever verifies it says
//! what it should be. Its statement lies beside it.

mod file;

use std::path::Path;

use package::{Digest, Package, Platform, PublisherName};
use trust::{Authenticode, Found, Release, Statement, Terms};

use crate::arguments::{Logins, Naming};
use crate::failure::{Failure, Outcome};
use crate::package_source::PackageSource;

pub(crate) use file::{Content, File};

/// What a command is about.
pub(crate) enum Subject {
    /// A package in a folder or a registry.
    Package(Box<PackageSource>, Box<Package>),
    /// A file under a name that was given.
    File(Box<File>, Box<Found>),
}

impl Subject {
    /// Reads what is there. `platform` is what a file is for, where that is given.
    pub(crate) fn open(
        path: &Path,
        logins: &Logins,
        naming: &Naming,
        platform: Option<&Platform>,
    ) -> Result<Self, Failure> {
        if let Some(source) = PackageSource::find(path, logins)? {
            let package = source.package()?;
            is_called(&package, path, naming)?;
            return Ok(Self::Package(Box::new(source), Box::new(package)));
        }
        let file = File::read(path, naming)?;
        let found = file.found(naming, platform)?;
        Ok(Self::File(Box::new(file), Box::new(found)))
    }

    /// What is stated about it.
    pub(crate) fn state(&self, terms: Terms) -> Statement<Release> {
        match self {
            Self::Package(_, package) => Statement::about(package, terms),
            Self::File(_, found) => Statement::about_object(found, None, terms),
        }
    }

    /// What it is called.
    pub(crate) fn release(&self) -> String {
        match self {
            Self::Package(_, package) => {
                let info = &package.manifest.package;
                format!("{}/{} {}", info.publisher, info.name, info.version)
            }
            Self::File(_, found) => found.to_string(),
        }
    }

    /// Who publishes it, as it says or as was given.
    pub(crate) fn publisher(&self) -> &PublisherName {
        match self {
            Self::Package(_, package) => &package.manifest.package.publisher,
            Self::File(_, found) => &found.publisher,
        }
    }

    /// The digest that names it: of a package's index, or of the file.
    pub(crate) fn digest(&self) -> Digest {
        match self {
            Self::Package(_, package) => package.index,
            Self::File(file, _) => file.digest,
        }
    }

    /// The envelopes that came with it.
    pub(crate) fn envelopes(&self) -> Result<Vec<Vec<u8>>, Failure> {
        match self {
            Self::Package(source, _) => source.envelopes(),
            Self::File(file, _) => file.envelopes(),
        }
    }

    /// The reference that it was fetched by; none where it is on this machine.
    pub(crate) fn fetched_from(&self) -> Option<String> {
        match self {
            Self::Package(source, _) => source.fetched_from(),
            Self::File(..) => None,
        }
    }

    /// Keeps a signed statement with it.
    pub(crate) fn keep(&self, envelope: &[u8]) -> Outcome {
        match self {
            Self::Package(source, _) => source.keep(envelope),
            Self::File(file, _) => file.keep(envelope),
        }
    }

    /// What a signature for Windows that is in it says, in words. It decides nothing.
    pub(crate) fn authenticode(&self) -> Option<String> {
        match self {
            Self::Package(..) => None,
            Self::File(file, _) => file.authenticode(),
        }
    }
}

/// What the signature in a driver says, or why it cannot be read.
fn told(signature: &Result<Option<Authenticode>, trust::BadAuthenticode>) -> String {
    match signature {
        Ok(None) => "none".to_owned(),
        Ok(Some(signature)) => signature.to_string(),
        Err(bad) => format!("broken: {bad}"),
    }
}

/// A package must be the one that was asked for, where one was.
fn is_called(package: &Package, path: &Path, naming: &Naming) -> Outcome {
    let info = &package.manifest.package;
    let is_it = naming.publisher.as_ref().is_none_or(|publisher| *publisher == info.publisher)
        && naming.name.as_ref().is_none_or(|name| *name == info.name)
        && naming.version.as_ref().is_none_or(|version| *version == info.version);
    if is_it {
        return Ok(());
    }
    let (path, release) = (path.display(), format!("{}/{} {}", info.publisher, info.name, info.version));
    Err(Failure::new(format!("`{path}` is the package {release}, not the one that was named"))
        .with_hint("a package says its publisher, name and version itself; leave them out"))
}
