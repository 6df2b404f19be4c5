// SPDX-License-Identifier: Apache-2.0
//! What is signed, verified and shown: a package, or an image or a file that is none.
//!
//! A file is an object for Linux or eBPF for Windows, a native driver of Windows, or an archive with such in it, as l3afd
//! takes them. It says nothing of its publisher, name and version: whoever signs it says them, and whoever verifies it says
//! what it should be. Its statement lies beside it.

mod file;

use std::path::Path;

use package::{Digest, Package, Platform, PublisherName, Referrer, ReferrerKind};
use trust::{Authenticode, Found, Release, Statement, Terms};

use crate::arguments::{Logins, Naming};
use crate::failure::{Failure, Outcome};
use crate::package_source::PackageSource;

pub(crate) use file::{Content, File, bounded};

/// What a command is about.
pub(crate) enum Subject {
    /// A package in a folder or a registry.
    Package(Box<PackageSource>, Box<Package>),
    /// An image that is no package (bpfman's), in a folder or a registry, as the package that it is under a name.
    Image(Box<PackageSource>, Box<Package>),
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
            if !source.layout().is_package()? {
                // In a registry it is called by where it is. What others state of it is nothing to sign.
                let named = match source.fetched_from() {
                    Some(_) if naming.is_empty() => source.placed()?,
                    _ => naming.release(path)?,
                };
                let image = Package::of_image(source.layout(), &source.layout().index()?, &named)?;
                return Ok(Self::Image(Box::new(source), Box::new(image)));
            }
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
            Self::Package(_, package) | Self::Image(_, package) => Statement::about(package, terms),
            Self::File(_, found) => Statement::about_object(found, None, terms),
        }
    }

    /// What it is called.
    pub(crate) fn release(&self) -> String {
        match self {
            Self::Package(_, package) | Self::Image(_, package) => {
                let info = &package.manifest.package;
                format!("{}/{} {}", info.publisher, info.name, info.version)
            }
            Self::File(_, found) => found.to_string(),
        }
    }

    /// Who publishes it, as it says or as was given.
    pub(crate) fn publisher(&self) -> &PublisherName {
        match self {
            Self::Package(_, package) | Self::Image(_, package) => &package.manifest.package.publisher,
            Self::File(_, found) => &found.publisher,
        }
    }

    /// The digest that names it: of a package's index, or of the file.
    pub(crate) fn digest(&self) -> Digest {
        match self {
            Self::Package(_, package) | Self::Image(_, package) => package.index,
            Self::File(file, _) => file.digest,
        }
    }

    /// The envelopes that came with it.
    pub(crate) fn envelopes(&self) -> Result<Vec<Vec<u8>>, Failure> {
        match self {
            Self::File(file, _) => file.envelopes(),
            Self::Package(..) | Self::Image(..) => self.referrers(ReferrerKind::Statement),
        }
    }

    /// The versions of its publisher's root that came with it.
    pub(crate) fn roots(&self) -> Result<Vec<Vec<u8>>, Failure> {
        self.referrers(ReferrerKind::Root)
    }

    fn referrers(&self, kind: ReferrerKind) -> Result<Vec<Vec<u8>>, Failure> {
        match self {
            Self::Package(source, _) | Self::Image(source, _) => source.referrers(kind),
            Self::File(..) => Ok(Vec::new()),
        }
    }

    /// The reference that it was fetched by; none where it is on this machine.
    pub(crate) fn fetched_from(&self) -> Option<String> {
        match self {
            Self::Package(source, _) | Self::Image(source, _) => source.fetched_from(),
            Self::File(..) => None,
        }
    }

    /// Keeps something with it that speaks of it.
    pub(crate) fn keep(&self, kind: ReferrerKind, bytes: Vec<u8>) -> Outcome {
        let referrer = Referrer { kind, bytes };
        match (self, kind) {
            (Self::Package(source, _) | Self::Image(source, _), _) => source.keep(&referrer),
            (Self::File(file, _), ReferrerKind::Statement) => file.keep(&referrer.bytes),
            (Self::File(..), ReferrerKind::Root) => {
                Err(Failure::new("a file that is no package has no place for a root")
                    .with_hint("give the root away beside it; policies name it with `root_file`"))
            }
            (Self::File(..), ReferrerKind::Bundle) => {
                Err(Failure::new("a file that is no package has no place for a sigstore bundle")
                    .with_hint("`--cosign-bundle FILE` writes it into a file of its own"))
            }
        }
    }

    /// What a signature for Windows that is in it says, in words. It decides nothing.
    pub(crate) fn authenticode(&self) -> Option<String> {
        match self {
            Self::Package(..) | Self::Image(..) => None,
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
