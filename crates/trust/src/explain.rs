// SPDX-License-Identifier: Apache-2.0
//! How a verification went: each rule, what it looked at, and how it ended.

use std::error::Error;
use std::fmt;

use package::Digest;
use serde::{Deserialize, Serialize};

/// A rule of verification. They are tried in this order; those from `envelope` on for each statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// Packages are verified at all.
    Mode,
    /// It holds something for this machine.
    Platform,
    /// It comes from a place that the policy lists.
    Repository,
    /// Neither it nor one of its files is revoked.
    Revocation,
    /// What is known of revocations is not too old.
    Freshness,
    /// An exception lets it in, whatever follows.
    Exception,
    /// The policy, or an endorser whom it names, trusts the publisher.
    Publisher,
    /// The publisher is trusted for this package.
    Package,
    /// The publisher is trusted for this platform.
    PublisherPlatform,
    /// The publisher is trusted for these hooks.
    Hooks,
    /// What the user program asks for is granted to the publisher.
    UserPrivileges,
    /// No higher version was accepted before.
    MinimumVersion,
    /// The publisher's root follows the pinned one, and has not expired.
    Root,
    /// A certificate of an organisation certifies that root.
    Certification,
    /// Somebody of this site endorses what comes from a public place.
    Endorsement,
    /// The statement can be read.
    Envelope,
    /// Enough trusted signers signed it.
    Signatures,
    /// What was signed is a statement about a release.
    Statement,
    /// It is about this release.
    Release,
    /// It speaks of this platform once, in the format that this machine loads.
    PlatformEntry,
    /// Every file is the one that was signed.
    Files,
    /// Its subjects are the same digests.
    Subjects,
    /// It was not made in the future.
    Created,
    /// It has not expired.
    Expiry,
    /// The Private Enterprise Number is the publisher's.
    Pen,
}

/// How one rule ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "outcome", content = "why")]
pub enum Outcome {
    /// It holds.
    Passed,
    /// It was not asked, and why.
    Skipped(String),
    /// It does not hold, and why.
    Failed(String),
}

/// One rule, applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ruling {
    /// The rule.
    pub rule: Rule,
    /// The envelope it was applied to; none for rules that are about the package.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statement: Option<Digest>,
    /// What it looked at.
    pub looked_at: String,
    /// How it ended.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// All rules that were applied, in their order.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Explanation {
    rulings: Vec<Ruling>,
}

/// Writes an explanation while a verification goes on.
#[derive(Debug, Default)]
pub(crate) struct Trail {
    explanation: Explanation,
    statement: Option<Digest>,
}

impl Explanation {
    /// The rules, in the order in which they were applied.
    pub fn rulings(&self) -> &[Ruling] {
        &self.rulings
    }
}

impl Trail {
    /// What follows is about this envelope.
    pub(crate) fn turn_to(&mut self, envelope: Digest) {
        self.statement = Some(envelope);
    }

    /// What follows is about the package again.
    pub(crate) fn turn_back(&mut self) {
        self.statement = None;
    }

    /// Notes how a rule ended, and passes its result on.
    pub(crate) fn rule<T, E: Error>(
        &mut self,
        rule: Rule,
        looked_at: impl fmt::Display,
        result: Result<T, E>,
    ) -> Result<T, E> {
        let outcome = match &result {
            Ok(_) => Outcome::Passed,
            Err(error) => Outcome::Failed(with_causes(error)),
        };
        self.note(rule, &looked_at, outcome);
        result
    }

    /// Notes that a rule holds.
    pub(crate) fn passed(&mut self, rule: Rule, looked_at: impl fmt::Display) {
        self.note(rule, &looked_at, Outcome::Passed);
    }

    /// Notes that a rule was not asked.
    pub(crate) fn skipped(&mut self, rule: Rule, looked_at: impl fmt::Display, why: &str) {
        self.note(rule, &looked_at, Outcome::Skipped(why.to_owned()));
    }

    pub(crate) fn into_explanation(self) -> Explanation {
        self.explanation
    }

    fn note(&mut self, rule: Rule, looked_at: &dyn fmt::Display, outcome: Outcome) {
        let looked_at = looked_at.to_string();
        self.explanation.rulings.push(Ruling { rule, statement: self.statement, looked_at, outcome });
    }
}

/// An error with its causes, where it is one of several and nobody else will tell them.
pub(crate) fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(current) = cause {
        text = format!("{text}: {current}");
        cause = current.source();
    }
    text
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Mode => "mode",
            Self::Platform => "platform",
            Self::Repository => "repository",
            Self::Revocation => "revocation",
            Self::Freshness => "freshness",
            Self::Exception => "exception",
            Self::Publisher => "publisher",
            Self::Package => "package",
            Self::PublisherPlatform => "publisher-platform",
            Self::Hooks => "hooks",
            Self::UserPrivileges => "user-privileges",
            Self::MinimumVersion => "minimum-version",
            Self::Root => "root",
            Self::Certification => "certification",
            Self::Endorsement => "endorsement",
            Self::Envelope => "envelope",
            Self::Signatures => "signatures",
            Self::Statement => "statement",
            Self::Release => "release",
            Self::PlatformEntry => "platform-entry",
            Self::Files => "files",
            Self::Subjects => "subjects",
            Self::Created => "created",
            Self::Expiry => "expiry",
            Self::Pen => "pen",
        })
    }
}

/// A line for each rule, with the reasons of those that do not hold.
impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut statement = None;
        for ruling in &self.rulings {
            if let Some(envelope) = ruling.statement.filter(|_| ruling.statement != statement) {
                writeln!(f, "statement {envelope}")?;
            }
            statement = ruling.statement;
            let (word, why) = match &ruling.outcome {
                Outcome::Passed => ("passed", None),
                Outcome::Skipped(why) => ("skipped", Some(why)),
                Outcome::Failed(why) => ("FAILED", Some(why)),
            };
            let indent = if statement.is_some() { "  " } else { "" };
            write!(f, "{indent}{word:7} {:18} {}", ruling.rule, ruling.looked_at)?;
            if let Some(why) = why {
                write!(f, ": {why}")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}
