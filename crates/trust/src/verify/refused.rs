// SPDX-License-Identifier: Apache-2.0
//! Why something is not accepted, and what can be done about it.

use std::fmt;

use jiff::Timestamp;
use package::{Digest, Format, PackageName, Platform, Privileges, ProgramKind, PublisherName, Version};
use thiserror::Error;

use crate::explain::with_causes;
use crate::{Algorithm, BadCertificate, BadEnvelope, BadRoot, Family, Pen, StatementError, Unsigned};

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
    /// It was fetched from a place that the policy does not list.
    #[error("package `{package}` comes from `{reference}`, which lies in no repository of the policy")]
    Repository {
        /// The package.
        package: PackageName,
        /// Where it was fetched.
        reference: String,
    },
    /// The policy revokes it.
    #[error("{what} of package `{package}` is revoked: {reason}")]
    Revoked {
        /// The package.
        package: PackageName,
        /// What of it.
        what: String,
        /// The policy's reason.
        reason: String,
    },
    /// Nobody looked for revocations for too long.
    #[error("what is known of revocations is too old: {}, and the policy demands {hours} hours at most", last(.looked.as_ref()))]
    Stale {
        /// When somebody looked.
        looked: Option<Timestamp>,
        /// How old it may be.
        hours: i64,
    },
    /// The policy does not name the publisher.
    #[error("nobody named `{publisher}` is trusted here")]
    UnknownPublisher {
        /// The publisher.
        publisher: PublisherName,
    },
    /// The root that is pinned did not come along.
    #[error("the root {digest} of `{publisher}`, which is pinned, did not come with it")]
    NoRoot {
        /// The publisher.
        publisher: PublisherName,
        /// What is pinned.
        digest: Digest,
    },
    /// The publisher's root is refused.
    #[error("the root of `{publisher}` is refused: {bad}")]
    Root {
        /// The publisher.
        publisher: PublisherName,
        /// Why.
        bad: BadRoot,
    },
    /// The policy trusts the publisher for other packages.
    #[error("publisher `{publisher}` is not trusted for package `{package}`")]
    NotTheirs {
        /// The publisher.
        publisher: PublisherName,
        /// The package.
        package: PackageName,
    },
    /// The policy trusts the publisher for other platforms.
    #[error("publisher `{publisher}` is not trusted for {platform}")]
    PublisherPlatform {
        /// The publisher.
        publisher: PublisherName,
        /// The platform.
        platform: Platform,
    },
    /// The policy trusts the publisher for other hooks.
    #[error("publisher `{publisher}` is not trusted for `{hook}`, which package `{package}` is for")]
    Hook {
        /// The publisher.
        publisher: PublisherName,
        /// The package.
        package: PackageName,
        /// The hook, or the kind of probe.
        hook: ProgramKind,
    },
    /// Its user program asks for more than the policy grants.
    #[error(
        "the user program of package `{package}` asks for {missing}, which the policy does not grant to `{publisher}`"
    )]
    UserPrivileges {
        /// The publisher.
        publisher: PublisherName,
        /// The package.
        package: PackageName,
        /// What is not granted.
        missing: Privileges,
    },
    /// A higher version was accepted before, or is demanded.
    #[error(
        "version {version} of package `{package}` is lower than {minimum}, which was accepted before or is demanded"
    )]
    Version {
        /// The package.
        package: PackageName,
        /// Its version.
        version: Version,
        /// The lowest that is accepted.
        minimum: Version,
    },
    /// It comes from a public place, and nobody of this site endorses it.
    #[error(
        "package `{package}` comes from `{reference}`, a public repository, and no endorser of the policy speaks for it"
    )]
    NotEndorsed {
        /// The package.
        package: PackageName,
        /// Where it was fetched.
        reference: String,
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
    /// Too few trusted signers signed it.
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
    /// The digest is not among its subjects.
    #[error("its subjects do not include {missing}, which it is about")]
    Subject {
        /// The digest that should be there.
        missing: Digest,
    },
    /// It does not speak of this platform, or more than once.
    #[error("it has {count} entries for {machine}, and must have one")]
    Platform {
        /// This machine.
        machine: Platform,
        /// How many entries it has.
        count: usize,
    },
    /// The objects are in another format.
    #[error("it is for objects of the format `{stated}`, and these are `{found}`")]
    Format {
        /// What the statement says.
        stated: Format,
        /// What they are.
        found: Format,
    },
    /// A file is not the one that was signed.
    #[error("the file `{path}` is not the one that was signed")]
    File {
        /// The file.
        path: String,
    },
    /// A file that was signed is not there.
    #[error("the file `{path}` was signed and is not there")]
    MissingFile {
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
    /// The policy demands a Private Enterprise Number.
    #[error("it claims no Private Enterprise Number, and the policy demands {}", .wanted.number())]
    NoPen {
        /// What the policy demands.
        wanted: Pen,
    },
    /// It claims another number than the policy demands.
    #[error(
        "it claims the Private Enterprise Number {}, and the policy demands {}", .claimed.number(), .wanted.number()
    )]
    OtherPen {
        /// What it claims.
        claimed: Pen,
        /// What the policy demands.
        wanted: Pen,
    },
    /// The number is not in the certificates of those who signed.
    #[error("it claims the Private Enterprise Number {}, which nothing proves: {why}", .claimed.number())]
    UnprovenPen {
        /// What it claims.
        claimed: Pen,
        /// What the certificates say.
        why: Discount,
    },
}

/// Why a trusted signer's signature counts for nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Discount {
    /// A key is revoked.
    Revoked {
        /// The policy's reason.
        reason: String,
    },
    /// The policy does not accept the algorithm of a key.
    Algorithm(Algorithm),
    /// The policy demands a key of this family beside.
    Family(Family),
    /// No certificate came with the key.
    NoCertificate,
    /// Its certificate does not hold.
    Certificate(Box<BadCertificate>),
    /// Neither a certificate of the key nor a certification of the root that names it proves whose it is.
    Uncertified {
        /// Why no certificate does.
        key: Box<Discount>,
        /// Why no certification does.
        root: String,
    },
}

fn all(mismatches: &[Mismatch]) -> String {
    mismatches.iter().map(|mismatch| with_causes(mismatch)).collect::<Vec<_>>().join("; ")
}

/// The line of a policy that grants privileges.
fn grant(privileges: &Privileges) -> String {
    match privileges {
        Privileges::Root => "`user_root = true` to".to_owned(),
        Privileges::Capabilities(capabilities) => {
            let names: Vec<String> = capabilities.iter().map(|name| format!("\"{name}\"")).collect();
            format!("`{}` to the `user_capabilities` of", names.join(", "))
        }
    }
}

fn last(looked: Option<&Timestamp>) -> String {
    looked.map_or_else(|| "nobody ever looked".to_owned(), |at| format!("somebody looked last at {at}"))
}

impl fmt::Display for Discount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Revoked { reason } => write!(f, "it is revoked: {reason}"),
            Self::Algorithm(algorithm) => write!(f, "the policy does not accept `{algorithm}`"),
            Self::Family(family) => write!(f, "the policy demands a {family} key beside it"),
            Self::NoCertificate => f.write_str("no certificate came with the key"),
            Self::Certificate(bad) => bad.fmt(f),
            Self::Uncertified { key, root } => {
                write!(f, "{key}, and no certification of the root stands in for one: {root}")
            }
        }
    }
}

impl Refused {
    /// What can be done about it.
    pub fn hint(&self) -> String {
        match self {
            Self::Platform { machine, .. } => {
                format!("add a `[[platform]]` for {machine} to its `package.toml` and build it again")
            }
            Self::Repository { .. } => "if packages may come from there, add a `[[repository]]` with its `url` to the \
                                        policy"
                .to_owned(),
            Self::Revoked { .. } => {
                "take another release; the `[[revoked]]` of the policy that forbids this one has its reason".to_owned()
            }
            Self::Stale { .. } => {
                "see why the repositories cannot be reached, or raise `max_age_hours` in the policy".to_owned()
            }
            Self::UnknownPublisher { publisher } => {
                format!(
                    "if you trust them, add a `[[publisher]]` named `{publisher}` with their key to the policy"
                )
            }
            Self::NoRoot { .. } => "put the root beside the policy and name it with `root_file`, or ask the publisher for a \
                                    package that carries it (`l3af sign --roots`)"
                .to_owned(),
            Self::Root { publisher, .. } => {
                format!("ask `{publisher}` for their newest root (`l3af publisher show` tells which it is)")
            }
            Self::NotTheirs { package, .. } => {
                format!("if you trust them for it, add `{package}` to their `packages` in the policy")
            }
            Self::PublisherPlatform { platform, .. } => {
                format!("if you trust them for it, add `{platform}` to their `platforms` in the policy")
            }
            Self::Hook { hook, .. } => {
                format!("if you trust them for it, add `{hook}` to their `hooks` in the policy")
            }
            Self::UserPrivileges { publisher, missing, .. } => format!(
                "if you trust them with it, add {} the `[[publisher]]` named `{publisher}` in the policy",
                grant(missing)
            ),
            Self::Version { .. } => "take a newer release; `l3af rollback` returns to what ran before, and an \
                                     `[[exception]]` with the digest lets this one in"
                .to_owned(),
            Self::NotEndorsed { .. } => {
                "an endorser whom the policy names must sign an endorsement, with `l3af endorse`".to_owned()
            }
            Self::NoStatement { .. } => {
                "its publisher signs it with `l3af sign`; ask them for the signed package".to_owned()
            }
            Self::NoneHolds { .. } => {
                "compare the keys of the policy with those that `l3af inspect` shows; `l3af verify --explain` tells each \
                 rule"
                    .to_owned()
            }
        }
    }
}
