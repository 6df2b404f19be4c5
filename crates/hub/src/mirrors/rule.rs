// SPDX-License-Identifier: Apache-2.0
//! What an administrator says: where packages are taken from, which, how often, and the trust policy that must hold before this hub
//! has them.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use package::Version;
use semver::VersionReq;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use trust::{Mode, Policy, PolicyDocument, PolicyError};
use utoipa::ToSchema;
use wire::hub::Channel;

use super::pattern::Pattern;
use crate::config::MirrorsConfig;
use crate::packages::is_in;

/// The most patterns of a rule.
const MAX_PATTERNS: usize = 256;
/// How seldom a rule is carried out at most, in seconds: a month.
const SELDOM_S: u64 = 31 * 24 * 60 * 60;
/// How often, in seconds.
const OFTEN_S: u64 = 10;
/// The largest trust policy with its files, in bytes.
const MAX_POLICY_BYTES: usize = 1024 * 1024;

/// The name of a rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String, pattern = "^[a-z0-9][a-z0-9-]{0,62}$")]
pub struct RuleName(String);

/// Where packages are taken from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum MirrorSource {
    /// Another hub, or any OCI registry, by its host and port: `hub.example.org`. Of a registry that is no hub, packages are
    /// named without `*`.
    Host(String),
    /// A folder that `l3af-hub export` wrote, on the machine of this hub and below one of `[mirrors] folders`.
    #[schema(value_type = String)]
    Folder(PathBuf),
}

/// What becomes of a release here that was deleted at the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Deletions {
    /// It stays, and is told.
    #[default]
    Keep,
    /// It is deleted here as well.
    Follow,
}

/// A trust policy, as nodes have it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MirrorPolicy {
    /// The text of `trust.toml`.
    pub text: String,
    /// The texts of the files that it names: roots and public keys, by the names that it has for them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, String>,
}

/// What is mirrored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MirrorRule {
    /// Where from.
    pub source: MirrorSource,
    /// Which packages: `publisher/name`, where `*` stands for any letters.
    #[schema(min_items = 1, max_items = 256)]
    pub packages: Vec<Pattern>,
    /// Which versions of them, such as `^1.2`. All.
    #[serde(default = "any_version")]
    pub versions: String,
    /// `stable`, or `candidate` for pre-releases as well. `stable`.
    #[serde(default)]
    pub channel: Channel,
    /// How often it is looked for what is new, in seconds. An hour.
    #[serde(default = "an_hour")]
    #[schema(minimum = 10, maximum = 2_678_400, default = 3600)]
    pub every_seconds: u64,
    /// What must hold for each platform of a release.
    pub policy: MirrorPolicy,
    /// What becomes of a release that was deleted at the source. `keep`.
    #[serde(default)]
    pub deletions: Deletions,
    /// Whether it is not carried out for now. `false`.
    #[serde(default)]
    pub paused: bool,
}

/// A rule cannot be carried out.
#[derive(Debug, Error)]
pub enum Unruly {
    /// Its name.
    #[error("`{given}` is no name of a rule: 1 to 63 small letters, digits and `-`, no `-` first")]
    Name {
        /// What was given.
        given: String,
    },
    /// It is about no package, or about too many kinds.
    #[error("a rule has 1 to {MAX_PATTERNS} patterns of packages, and this has {count}")]
    Patterns {
        /// How many it has.
        count: usize,
    },
    /// Its versions.
    #[error("`{given}` is no range of versions")]
    Versions {
        /// What was given.
        given: String,
        /// Why.
        #[source]
        source: semver::Error,
    },
    /// How often.
    #[error("a rule is carried out every {OFTEN_S} to {SELDOM_S} seconds, and not every {given}")]
    Every {
        /// What was given.
        given: u64,
    },
    /// The host.
    #[error("`{given}` is no host: name it with its port, as in `hub.example.org:8520`, without `https://`")]
    Host {
        /// What was given.
        given: String,
    },
    /// The folder.
    #[error("`{}` is in none of the `folders` of `[mirrors]` in the configuration, or is not there", .given.display())]
    Folder {
        /// What was given.
        given: PathBuf,
    },
    /// The policy is too large.
    #[error("the trust policy has more than {MAX_POLICY_BYTES} bytes")]
    LargePolicy,
    /// The policy cannot be used.
    #[error("the trust policy cannot be used")]
    Policy(#[from] PolicyError),
    /// The policy verifies nothing.
    #[error(
        "the trust policy has `mode = \"normal\"`, which verifies nothing; a mirror takes what is verified"
    )]
    Unverified,
}

fn any_version() -> String {
    "*".to_owned()
}

fn an_hour() -> u64 {
    3600
}

impl MirrorRule {
    /// Whether it can be carried out with what it says.
    ///
    /// # Errors
    /// What it says wrongly.
    pub(crate) fn check(&self, config: &MirrorsConfig) -> Result<(), Unruly> {
        if self.packages.is_empty() || self.packages.len() > MAX_PATTERNS {
            return Err(Unruly::Patterns { count: self.packages.len() });
        }
        if !(OFTEN_S..=SELDOM_S).contains(&self.every_seconds) {
            return Err(Unruly::Every { given: self.every_seconds });
        }
        self.source.check(config)?;
        self.range()?;
        self.policy.read().map(drop)
    }

    /// The range of its versions.
    pub(super) fn range(&self) -> Result<VersionReq, Unruly> {
        let given = || self.versions.clone();
        self.versions.parse().map_err(|source| Unruly::Versions { given: given(), source })
    }

    /// Whether a version is one of those that are wanted.
    pub(super) fn wants(&self, range: &VersionReq, version: &Version) -> bool {
        let is_in_channel = self.channel == Channel::Candidate || version.pre.is_empty();
        is_in_channel && is_in(range, version)
    }
}

impl MirrorSource {
    pub(super) fn check(&self, config: &MirrorsConfig) -> Result<(), Unruly> {
        match self {
            Self::Host(host) => {
                // Any name does: only the host is asked for.
                let read = format!("{host}/any/thing").parse::<wire::Repository>();
                read.map(drop).map_err(|_bad| Unruly::Host { given: host.clone() })
            }
            Self::Folder(folder) if config.admits(folder) => Ok(()),
            Self::Folder(folder) => Err(Unruly::Folder { given: folder.clone() }),
        }
    }
}

impl fmt::Display for MirrorSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(host) => f.write_str(host),
            Self::Folder(folder) => folder.display().fmt(f),
        }
    }
}

impl MirrorPolicy {
    /// Reads a policy from a file, with the files that it names, which are beside it.
    ///
    /// # Errors
    /// When one of them cannot be read.
    pub fn from_file(path: &Path) -> Result<Self, std::io::Error> {
        let text = std::fs::read_to_string(path)?;
        // What is no policy names no files, and is told when it is used.
        let named: Vec<String> = PolicyDocument::parse(&text)
            .map(|document| document.files().map(str::to_owned).collect())
            .unwrap_or_default();
        let folder = path.parent().unwrap_or(Path::new("."));
        let read = |name: String| Ok((name.clone(), std::fs::read_to_string(folder.join(name))?));
        Ok(Self { text, files: named.into_iter().map(read).collect::<Result<_, std::io::Error>>()? })
    }

    /// The policy.
    pub(super) fn read(&self) -> Result<Policy, Unruly> {
        let bytes = self.files.iter().map(|(name, text)| name.len() + text.len()).sum::<usize>();
        if self.text.len() + bytes > MAX_POLICY_BYTES {
            return Err(Unruly::LargePolicy);
        }
        let policy = PolicyDocument::parse(&self.text)?.resolve(&self.files)?;
        if policy.mode() == Mode::Normal {
            return Err(Unruly::Unverified);
        }
        Ok(policy)
    }
}

impl RuleName {
    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RuleName {
    type Err = Unruly;

    fn from_str(text: &str) -> Result<Self, Unruly> {
        let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let is_good = (1..=63).contains(&text.len()) && text.bytes().all(is_letter) && !text.starts_with('-');
        if is_good { Ok(Self(text.to_owned())) } else { Err(Unruly::Name { given: text.to_owned() }) }
    }
}

impl TryFrom<String> for RuleName {
    type Error = Unruly;

    fn try_from(text: String) -> Result<Self, Unruly> {
        text.parse()
    }
}

impl From<RuleName> for String {
    fn from(name: RuleName) -> Self {
        name.0
    }
}

impl fmt::Display for RuleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule() -> MirrorRule {
        serde_json::from_value(serde_json::json!({
            "source": { "host": "hub.example.org" }, "packages": ["l3af/*"], "policy": { "text": "" },
        }))
        .expect("what else there is has defaults")
    }

    fn refusal(change: impl FnOnce(&mut MirrorRule)) -> String {
        let mut rule = rule();
        change(&mut rule);
        crate::answer::whole(&rule.check(&MirrorsConfig::default()).expect_err("it is wrong"))
    }

    #[test]
    fn a_rule_that_cannot_be_carried_out_is_told_why() {
        rule().check(&MirrorsConfig::default()).expect("it is right");
        for (told, expected) in [
            (refusal(|rule| rule.packages.clear()), "this has 0"),
            (refusal(|rule| rule.every_seconds = 0), "not every 0"),
            (refusal(|rule| rule.versions = "new".to_owned()), "`new` is no range"),
            (refusal(|rule| rule.source = MirrorSource::Host("https://a".to_owned())), "is no host"),
            (refusal(|rule| rule.source = MirrorSource::Folder("/".into())), "`folders` of `[mirrors]`"),
            (refusal(|rule| rule.policy.text = "mode = \"normal\"".to_owned()), "verifies nothing"),
            (
                refusal(|rule| rule.policy.text = "[[publisher]]".to_owned()),
                "the trust policy cannot be used",
            ),
        ] {
            assert!(told.contains(expected), "{told}");
        }
    }

    #[test]
    fn pre_releases_are_for_those_who_ask_for_candidates() {
        let wants = |channel, versions: &str, version: &str| {
            let rule = MirrorRule { channel, versions: versions.to_owned(), ..rule() };
            rule.wants(&rule.range().expect("a range"), &version.parse().expect("a version"))
        };
        assert!(wants(Channel::Stable, "^1.2", "1.3.0") && !wants(Channel::Stable, "^1.2", "2.0.0"));
        assert!(
            !wants(Channel::Stable, "*", "1.3.0-rc.1") && wants(Channel::Candidate, "^1.2", "1.3.0-rc.1")
        );
    }
}
