// SPDX-License-Identifier: Apache-2.0
//! What a manifest says of the program that cooperates from user space: `[user]`.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Deserialize;
use thiserror::Error;

use crate::{Capability, CpuShare, MemorySize, Privileges};

/// A program that cooperates from user space.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Written")]
pub struct UserProgram {
    /// The executable, a file of the package.
    pub command: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// What must be installed for it to run.
    pub needs: Vec<Need>,
    /// The most memory that it takes; none means that it does not say.
    pub memory: Option<MemorySize>,
    /// The most time of processors that it takes; none means that it does not say.
    pub cpu: Option<CpuShare>,
    /// What it must be permitted beyond what every process is.
    pub privileges: Privileges,
    /// How it is started, and with what arguments.
    pub convention: Convention,
    /// Within how many seconds it says that it is ready, before packets come; none means that nobody waits for it.
    pub ready_seconds: Option<ReadySeconds>,
}

/// How long a program may take to say that it is ready: 1 to 30 s. Whoever changes the machine waits for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u32")]
pub struct ReadySeconds(u8);

impl ReadySeconds {
    /// The same as a time.
    pub fn duration(self) -> Duration {
        Duration::from_secs(self.0.into())
    }
}

/// It is no time, or too long for others to wait.
#[derive(Debug, Error)]
#[error("`ready_seconds = {0}`: it is 1 to 30")]
pub struct BadReadySeconds(u32);

impl TryFrom<u32> for ReadySeconds {
    type Error = BadReadySeconds;

    fn try_from(seconds: u32) -> Result<Self, BadReadySeconds> {
        let fitting = u8::try_from(seconds).ok().filter(|seconds| (1..=30).contains(seconds));
        fitting.map(Self).ok_or(BadReadySeconds(seconds))
    }
}

/// How a user program is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Convention {
    /// Once for its package, with the arguments of the manifest.
    #[default]
    Package,
    /// Once for each member that names a command of the package, with the arguments that l3afd v1 gives.
    L3afd,
}

/// Something that must be installed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Need {
    /// What.
    pub name: String,
    /// Which versions, in its own way of counting.
    pub version: String,
    /// What for.
    pub why: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    command: String,
    #[serde(default)]
    args: Vec<String>,
    #[serde(default)]
    needs: Vec<Need>,
    memory: Option<MemorySize>,
    cpu: Option<CpuShare>,
    #[serde(default)]
    root: bool,
    #[serde(default)]
    capabilities: BTreeSet<Capability>,
    #[serde(default)]
    convention: Convention,
    ready_seconds: Option<ReadySeconds>,
}

/// What it says of itself cannot be.
#[derive(Debug, Error)]
enum Contradiction {
    /// It asks for root, and for less.
    #[error("`root = true` has all capabilities: leave out `root`, or `capabilities`")]
    RootAndLess,
    /// Programs of l3afd v1 never said when they are ready.
    #[error(
        "`ready_seconds` is for programs that say when they are ready: leave it out, or `convention = \"l3afd\"`"
    )]
    NeverReady,
}

impl TryFrom<Written> for UserProgram {
    type Error = Contradiction;

    fn try_from(written: Written) -> Result<Self, Contradiction> {
        let Written { command, args, needs, memory, cpu, root, capabilities, convention, ready_seconds } =
            written;
        if convention == Convention::L3afd && ready_seconds.is_some() {
            return Err(Contradiction::NeverReady);
        }
        let privileges = match (root, capabilities) {
            (true, less) if !less.is_empty() => return Err(Contradiction::RootAndLess),
            (true, _) => Privileges::Root,
            (false, capabilities) => Privileges::Capabilities(capabilities),
        };
        Ok(Self { command, args, needs, memory, cpu, privileges, convention, ready_seconds })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(rest: &str) -> Result<UserProgram, String> {
        toml::from_str(&format!("command = \"helper\"\n{rest}")).map_err(|error| error.to_string())
    }

    #[test]
    fn a_program_asks_for_nothing_unless_it_says_so() {
        let program = read("").unwrap();
        assert!(program.privileges.are_none());
        assert_eq!((program.memory, program.cpu), (None, None));
        assert_eq!(read("root = true").unwrap().privileges, Privileges::Root);
        let asking = read("capabilities = [\"bpf\", \"net_admin\"]\nmemory = \"64MiB\"\ncpu = 50").unwrap();
        assert_eq!(asking.privileges.to_string(), "the capabilities `net_admin`, `bpf`");
        assert_eq!(
            (asking.memory.unwrap().to_string(), asking.cpu.unwrap().percent()),
            ("64MiB".to_owned(), 50)
        );
    }

    #[test]
    fn what_cannot_be_says_why() {
        let refusal = |rest: &str| read(rest).unwrap_err();
        assert!(refusal("root = true\ncapabilities = [\"bpf\"]").contains("has all capabilities"));
        assert!(refusal("capabilities = [\"CAP_BPF\"]").contains("there is no capability `CAP_BPF`"));
        assert!(refusal("memory = \"64MB\"").contains("is not an amount of memory"));
        assert!(refusal("cpu = 0").contains("is not a share of a core"));
        assert!(refusal("ready_seconds = 300").contains("it is 1 to 30"));
        assert!(refusal("ready_seconds = 1\nconvention = \"l3afd\"").contains("say when they are ready"));
        assert!(refusal("user = \"root\"").contains("unknown field `user`"));
    }
}
