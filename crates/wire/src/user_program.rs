// SPDX-License-Identifier: Apache-2.0
//! The programs that packages run in user space, and what they wrote.

use std::fmt;
use std::str::FromStr;

use package::{BadName, PackageName, PublisherName, Version};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A program of a package that runs in user space.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UserProgramView {
    /// The publisher of its package.
    #[schema(value_type = String)]
    pub publisher: PublisherName,
    /// The name of its package.
    #[schema(value_type = String)]
    pub package: PackageName,
    /// The version of its package.
    #[schema(value_type = String)]
    pub version: Version,
    /// The file of the package that is executed.
    pub name: String,
    /// The hook of the member that it runs for, where it is not for its package as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
    /// The named profile that it runs under: `l3afd` for programs of l3afd v1, which get what they need to work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// The digest of its bytes.
    pub digest: String,
    /// How it is.
    pub state: UserProgramState,
    /// Its process, while it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// The user that it runs as; 0 is root. None where no number is free.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<u32>,
    /// The capabilities that it has, where it is not root.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub capabilities: Vec<String>,
    /// What keeps it from what nobody granted it; none where it is nobody yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confinement: Option<UserProgramConfinement>,
    /// What it may use, and what becomes of that on this node.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<UserProgramLimit>,
    /// Whether it said that it is ready; none where it is not to say so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready: Option<bool>,
    /// How often it was started again.
    pub restarts: u64,
    /// How it ended last, or why it could not be started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<String>,
    /// The seconds until it is tried again, when it is given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_seconds: Option<u64>,
    /// The file with what it wrote.
    pub log: String,
}

/// How a program in user space is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum UserProgramState {
    /// It runs.
    Running,
    /// It ended, or could not be started, and is started again in a while.
    Waiting,
    /// It ended too often within too short a time, and is given up for a while.
    Failed,
    /// It did what it is for, and ended.
    Finished,
    /// It was told to end.
    Stopping,
}

/// What keeps a program in user space from what nobody granted it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UserProgramConfinement {
    /// Whether it is refused system calls.
    pub seccomp: bool,
    /// The version of landlock that fences it from files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub landlock: Option<u32>,
    /// Why something is missing, as the end of a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A limit of a program in user space.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UserProgramLimit {
    /// What is limited: `memory` or `cpu`.
    pub resource: String,
    /// How much it may use, as in `64MiB`, or as in `50%` of one core.
    pub limit: String,
    /// What enforces it.
    pub means: LimitMeans,
    /// Why nothing better does, as the end of a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What enforces a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum LimitMeans {
    /// A control group (cgroup v2): it counts for the program and all that it starts, together.
    Cgroup,
    /// A resource limit: it counts for the address space of each process by itself.
    Rlimit,
    /// Nothing does.
    None,
}

/// The last lines that a program in user space wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UserProgramLog {
    /// The lines, the oldest first. What is no UTF-8 in them is replaced.
    pub lines: Vec<String>,
}

/// How somebody names a program in user space: by its package, with the publisher where several have one of that name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserProgramName {
    /// The publisher; none means any.
    pub publisher: Option<PublisherName>,
    /// The package.
    pub package: PackageName,
}

impl UserProgramName {
    /// Whether it names the program of this package.
    pub fn names(&self, publisher: &PublisherName, package: &PackageName) -> bool {
        self.package == *package && self.publisher.as_ref().is_none_or(|wanted| wanted == publisher)
    }
}

impl FromStr for UserProgramName {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Self, BadName> {
        let (publisher, package) = match text.split_once('/') {
            Some((publisher, package)) => (Some(publisher.parse()?), package),
            None => (None, text),
        };
        Ok(Self { publisher, package: package.parse()? })
    }
}

impl fmt::Display for UserProgramName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(publisher) = &self.publisher {
            write!(f, "{publisher}/")?;
        }
        self.package.fmt(f)
    }
}

/// As part of a line.
impl fmt::Display for UserProgramConfinement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.seccomp, self.landlock) {
            (true, Some(version)) => write!(f, "confined by seccomp and landlock {version}")?,
            (true, None) => f.write_str("confined by seccomp, NOT by landlock")?,
            (false, _) => f.write_str("NOT confined")?,
        }
        self.reason.as_ref().map_or(Ok(()), |reason| write!(f, ": {reason}"))
    }
}

/// A limit as part of a line.
impl fmt::Display for UserProgramLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { resource, limit, means, reason } = self;
        match means {
            LimitMeans::Cgroup => write!(f, "{resource} {limit} by cgroup")?,
            LimitMeans::Rlimit => write!(f, "{resource} {limit} for each process")?,
            LimitMeans::None => write!(f, "{resource} NOT limited to {limit}")?,
        }
        reason.as_ref().map_or(Ok(()), |reason| write!(f, ": {reason}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_package_with_or_without_its_publisher_and_never_a_path() {
        let read = |text: &str| text.parse::<UserProgramName>().map(|name| name.to_string());
        assert_eq!(read("ratelimit"), Ok("ratelimit".to_owned()));
        assert_eq!(read("example/ratelimit"), Ok("example/ratelimit".to_owned()));
        for bad in ["", "/", "..", "../x", "a/../b", "a/b/c", "/etc/passwd", "a%2fb", "user-a_b.log"] {
            assert!(read(bad).is_err(), "{bad}");
        }
        let name: UserProgramName = "ratelimit".parse().unwrap();
        assert!(name.names(&"a".parse().unwrap(), &"ratelimit".parse().unwrap()));
        let name: UserProgramName = "b/ratelimit".parse().unwrap();
        assert!(!name.names(&"a".parse().unwrap(), &"ratelimit".parse().unwrap()));
    }
}
