// SPDX-License-Identifier: Apache-2.0
//! The one door: from a package that was read to a package that may run.

use jiff::{SignedDuration, Timestamp};
use package::{Digest, Package, PackageName, PackagePlatform, Platform, PublisherName};
use thiserror::Error;

use crate::statement::{Format, Release};
use crate::{BadEnvelope, Envelope, KeyId, Mode, Policy, Publisher, Statement, StatementError, Unsigned};

/// How far the clocks of those who sign and those who verify may be apart.
const CLOCK_SKEW: SignedDuration = SignedDuration::from_mins(5);

/// A package that passed: the only thing that can be planned. It cannot be made but by [`verify()`].
#[derive(Debug)]
pub struct Verified {
    package: Package,
    machine: usize,
    assurance: Assurance,
}

/// Why a package was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Assurance {
    /// Trusted keys signed a statement about exactly these bytes for this platform.
    Signed {
        /// Whose keys.
        publisher: PublisherName,
        /// Which keys.
        keys: Vec<KeyId>,
        /// The digest of the envelope.
        envelope: Digest,
    },
    /// Nothing was verified: the policy's mode is `normal`.
    None,
}

/// A package is not accepted.
#[derive(Debug, Error)]
pub enum Refused {
    /// It holds nothing for this machine.
    #[error("package `{package}` is not built for {machine}")]
    Platform {
        /// The package.
        package: PackageName,
        /// This machine.
        machine: Platform,
    },
    /// The policy does not name the publisher.
    #[error("nobody named `{publisher}` is trusted here")]
    UnknownPublisher {
        /// The publisher.
        publisher: PublisherName,
    },
    /// The policy trusts the publisher for other packages.
    #[error("publisher `{publisher}` is not trusted for package `{package}`")]
    NotTheirs {
        /// The publisher.
        publisher: PublisherName,
        /// The package.
        package: PackageName,
    },
    /// There is no statement.
    #[error("package `{package}` is not signed")]
    NoStatement {
        /// The package.
        package: PackageName,
    },
    /// There are statements, and none of them holds.
    #[error("no statement about package `{package}` holds: {}", all(.mismatches))]
    NoneHolds {
        /// The package.
        package: PackageName,
        /// Why each of them does not, in their order.
        mismatches: Vec<Mismatch>,
    },
}

/// Why one statement does not hold for a package on a machine.
#[derive(Debug, Error)]
pub enum Mismatch {
    /// It cannot be read.
    #[error(transparent)]
    Envelope(#[from] BadEnvelope),
    /// Too few trusted keys signed it.
    #[error(transparent)]
    Unsigned(#[from] Unsigned),
    /// What was signed is something else.
    #[error(transparent)]
    Statement(#[from] StatementError),
    /// It is about another release.
    #[error("it is about {what} `{stated}`, and the package's is `{found}`")]
    Other {
        /// What differs.
        what: &'static str,
        /// What the statement says.
        stated: String,
        /// What the package has.
        found: String,
    },
    /// It does not speak of this platform, or more than once.
    #[error("it has {count} entries for {machine}, and must have one")]
    Platform {
        /// This machine.
        machine: Platform,
        /// How many entries it has.
        count: usize,
    },
    /// The objects are in a format that this machine does not load.
    #[error("it is for objects of another format than {machine} loads")]
    Format {
        /// This machine.
        machine: Platform,
    },
    /// A file is not the one that was signed.
    #[error("the file `{path}` is not the one that was signed")]
    File {
        /// The file.
        path: String,
    },
    /// It holds no longer.
    #[error("it expired at {expired}")]
    Expired {
        /// When.
        expired: Timestamp,
    },
    /// It was made in the future.
    #[error("it was made at {created}, which is in the future")]
    Future {
        /// When.
        created: Timestamp,
    },
}

fn all(mismatches: &[Mismatch]) -> String {
    mismatches.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

impl Refused {
    /// What can be done about it.
    pub fn hint(&self) -> String {
        match self {
            Self::Platform { machine, .. } => {
                format!("add a `[[platform]]` for {machine} to its `package.toml` and build it again")
            }
            Self::UnknownPublisher { publisher } => {
                format!(
                    "if you trust them, add a `[[publisher]]` named `{publisher}` with their key to the policy"
                )
            }
            Self::NotTheirs { package, .. } => {
                format!("if you trust them for it, add `{package}` to their `packages` in the policy")
            }
            Self::NoStatement { .. } => {
                "its publisher signs it with `l3af sign`; ask them for the signed package".to_owned()
            }
            Self::NoneHolds { .. } => {
                "compare the keys of the policy with those that `l3af inspect` shows".to_owned()
            }
        }
    }
}

impl Verified {
    /// The package.
    pub fn package(&self) -> &Package {
        &self.package
    }

    /// What it holds for this machine.
    pub fn platform(&self) -> &PackagePlatform {
        &self.package.platforms[self.machine]
    }

    /// Why it was accepted.
    pub fn assurance(&self) -> &Assurance {
        &self.assurance
    }
}

/// Verifies a package for a machine at a time. `envelopes` are the signed statements that came with it; one that holds
/// is enough.
///
/// # Errors
/// When the package is not for this machine, its publisher is not trusted for it, or no statement holds.
pub fn verify(
    package: Package,
    envelopes: &[Vec<u8>],
    policy: &Policy,
    machine: &Platform,
    now: Timestamp,
) -> Result<Verified, Refused> {
    let info = &package.manifest.package;
    let name = info.name.clone();
    let entry = package.platforms.iter().position(|entry| entry.platform == *machine);
    let Some(entry) = entry else {
        return Err(Refused::Platform { package: name, machine: machine.clone() });
    };
    if policy.mode() == Mode::Normal {
        return Ok(Verified { package, machine: entry, assurance: Assurance::None });
    }
    let Some(publisher) = policy.publisher(&info.publisher) else {
        return Err(Refused::UnknownPublisher { publisher: info.publisher.clone() });
    };
    if !publisher.may_publish(&name) {
        return Err(Refused::NotTheirs { publisher: publisher.name.clone(), package: name });
    }
    let case = Case { package: &package, entry: &package.platforms[entry], publisher, now };
    let mut mismatches = Vec::new();
    for envelope in envelopes {
        match case.hold(envelope) {
            Ok(assurance) => return Ok(Verified { package, machine: entry, assurance }),
            Err(mismatch) => mismatches.push(mismatch),
        }
    }
    Err(if mismatches.is_empty() {
        Refused::NoStatement { package: name }
    } else {
        Refused::NoneHolds { package: name, mismatches }
    })
}

/// A package on a machine, to hold statements against.
struct Case<'a> {
    package: &'a Package,
    entry: &'a PackagePlatform,
    publisher: &'a Publisher,
    now: Timestamp,
}

impl Case<'_> {
    fn hold(&self, bytes: &[u8]) -> Result<Assurance, Mismatch> {
        let envelope = Envelope::parse(bytes)?;
        let verified = envelope.verify(&self.publisher.quorum)?;
        let statement = Statement::parse(&verified)?;
        self.check_release(&statement)?;
        self.check_time(&statement.predicate)?;
        self.check_platform(&statement)?;
        Ok(Assurance::Signed {
            publisher: self.publisher.name.clone(),
            keys: verified.keys.into_iter().collect(),
            envelope: Digest::of(bytes),
        })
    }

    fn check_release(&self, statement: &Statement) -> Result<(), Mismatch> {
        let stated = &statement.predicate;
        let found = &self.package.manifest.package;
        let pairs = [
            ("publisher", stated.publisher.to_string(), found.publisher.to_string()),
            ("package", stated.package.to_string(), found.name.to_string()),
            ("version", stated.version.to_string(), found.version.to_string()),
            ("index", stated.index.to_string(), self.package.index.to_string()),
        ];
        for (what, stated, found) in pairs {
            if stated != found {
                return Err(Mismatch::Other { what, stated, found });
            }
        }
        // The subjects are what other tools look at: they must not say anything else.
        if statement.is_about(&self.package.index) {
            Ok(())
        } else {
            let (stated, found) = ("another release".to_owned(), self.package.index.to_string());
            Err(Mismatch::Other { what: "subject", stated, found })
        }
    }

    fn check_time(&self, stated: &Release) -> Result<(), Mismatch> {
        if let Some(expired) = stated.expires.filter(|expires| *expires <= self.now) {
            return Err(Mismatch::Expired { expired });
        }
        let soon =
            self.now.saturating_add(CLOCK_SKEW).expect("adding a time of fixed length is never ambiguous");
        if stated.created > soon {
            return Err(Mismatch::Future { created: stated.created });
        }
        Ok(())
    }

    fn check_platform(&self, statement: &Statement) -> Result<(), Mismatch> {
        let machine = || self.entry.platform.clone();
        let entries =
            statement.predicate.platforms.iter().filter(|entry| entry.platform == self.entry.platform);
        let entries: Vec<_> = entries.collect();
        let [stated] = entries.as_slice() else {
            return Err(Mismatch::Platform { machine: machine(), count: entries.len() });
        };
        if stated.format != Format::Elf {
            return Err(Mismatch::Format { machine: machine() });
        }
        if stated.manifest != self.entry.manifest || !statement.is_about(&self.entry.manifest) {
            let (stated, found) = (stated.manifest.to_string(), self.entry.manifest.to_string());
            return Err(Mismatch::Other { what: "image manifest", stated, found });
        }
        for file in self.entry.files.iter() {
            if stated.files.get(&file.path) != Some(&Digest::of(&file.bytes)) {
                return Err(Mismatch::File { path: file.path.clone() });
            }
        }
        Ok(())
    }
}
