// SPDX-License-Identifier: Apache-2.0
//! What a manifest says of the program that cooperates from user space: `[user]`.

use std::collections::BTreeSet;

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
}

/// It asks for root, and for less.
#[derive(Debug, Error)]
#[error("`root = true` has all capabilities: leave out `root`, or `capabilities`")]
struct RootAndLess;

impl TryFrom<Written> for UserProgram {
    type Error = RootAndLess;

    fn try_from(written: Written) -> Result<Self, RootAndLess> {
        let Written { command, args, needs, memory, cpu, root, capabilities, convention } = written;
        let privileges = match (root, capabilities) {
            (true, less) if !less.is_empty() => return Err(RootAndLess),
            (true, _) => Privileges::Root,
            (false, capabilities) => Privileges::Capabilities(capabilities),
        };
        Ok(Self { command, args, needs, memory, cpu, privileges, convention })
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
        assert!(refusal("user = \"root\"").contains("unknown field `user`"));
    }
}
