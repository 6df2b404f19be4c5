// SPDX-License-Identifier: Apache-2.0
//! Capabilities of processes, and what a user program asks for beyond what every process may do.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// By number, as in Linux's `include/uapi/linux/capability.h`; none was added since 5.9.
const NAMES: [&str; 41] = [
    "chown",
    "dac_override",
    "dac_read_search",
    "fowner",
    "fsetid",
    "kill",
    "setgid",
    "setuid",
    "setpcap",
    "linux_immutable",
    "net_bind_service",
    "net_broadcast",
    "net_admin",
    "net_raw",
    "ipc_lock",
    "ipc_owner",
    "sys_module",
    "sys_rawio",
    "sys_chroot",
    "sys_ptrace",
    "sys_pacct",
    "sys_admin",
    "sys_boot",
    "sys_nice",
    "sys_resource",
    "sys_time",
    "sys_tty_config",
    "mknod",
    "lease",
    "audit_write",
    "audit_control",
    "setfcap",
    "mac_override",
    "mac_admin",
    "syslog",
    "wake_alarm",
    "block_suspend",
    "audit_read",
    "perfmon",
    "bpf",
    "checkpoint_restore",
];

/// One part of what root may do (capabilities(7)), such as `net_admin`.
#[doc(alias = "CAP_")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Capability(u8);

/// A text is not the name of a capability.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("there is no capability `{given}`; capabilities(7) lists them: write `CAP_NET_ADMIN` as `net_admin`")]
pub struct UnknownCapability {
    /// What was given.
    pub given: String,
}

/// What a process may do beyond what every process may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Privileges {
    /// It is a user of its own, with these capabilities.
    Capabilities(BTreeSet<Capability>),
    /// It is root, with all of them.
    Root,
}

impl Capability {
    /// All that there are, by number.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..).zip(NAMES).map(|(number, _)| Self(number))
    }

    /// Its number in the kernel.
    pub fn number(self) -> u8 {
        self.0
    }
}

impl Privileges {
    /// Whether it is no more than every process may do.
    pub fn are_none(&self) -> bool {
        *self == Self::default()
    }

    /// What of them is not in others; none where all is. Root may do everything.
    pub fn beyond(&self, granted: &Self) -> Option<Self> {
        match (self, granted) {
            (_, Self::Root) => None,
            (Self::Root, Self::Capabilities(_)) => Some(Self::Root),
            (Self::Capabilities(wanted), Self::Capabilities(granted)) => {
                let missing = Self::Capabilities(wanted.difference(granted).copied().collect());
                (!missing.are_none()).then_some(missing)
            }
        }
    }
}

impl Default for Privileges {
    fn default() -> Self {
        Self::Capabilities(BTreeSet::new())
    }
}

impl FromStr for Capability {
    type Err = UnknownCapability;

    fn from_str(text: &str) -> Result<Self, UnknownCapability> {
        let unknown = || UnknownCapability { given: text.to_owned() };
        Self::all().find(|capability| capability.name() == text).ok_or_else(unknown)
    }
}

impl TryFrom<String> for Capability {
    type Error = UnknownCapability;

    fn try_from(text: String) -> Result<Self, UnknownCapability> {
        text.parse()
    }
}

impl From<Capability> for String {
    fn from(capability: Capability) -> Self {
        capability.name().to_owned()
    }
}

impl Capability {
    fn name(self) -> &'static str {
        NAMES[usize::from(self.0)]
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// As part of a sentence.
impl fmt::Display for Privileges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => f.write_str("the user id of root"),
            Self::Capabilities(capabilities) if capabilities.is_empty() => f.write_str("nothing"),
            Self::Capabilities(capabilities) => {
                let names: Vec<String> = capabilities.iter().map(|name| format!("`{name}`")).collect();
                let noun = if names.len() == 1 { "the capability" } else { "the capabilities" };
                write!(f, "{noun} {}", names.join(", "))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn capabilities(names: &[&str]) -> Privileges {
        Privileges::Capabilities(names.iter().map(|name| name.parse().unwrap()).collect())
    }

    #[test]
    fn names_and_numbers_are_those_of_the_kernel() {
        let number = |name: &str| name.parse::<Capability>().unwrap().number();
        assert_eq!((number("chown"), number("net_admin"), number("sys_admin")), (0, 12, 21));
        assert_eq!((number("perfmon"), number("bpf"), number("checkpoint_restore")), (38, 39, 40));
        for name in ["CAP_BPF", "cap_bpf", "BPF", "", "bpf "] {
            let refused = name.parse::<Capability>().unwrap_err().to_string();
            assert!(refused.contains(&format!("there is no capability `{name}`")), "{refused}");
        }
    }

    #[test]
    fn what_is_not_granted_is_told_and_root_grants_all() {
        let wanted = capabilities(&["net_admin", "bpf"]);
        assert_eq!(wanted.beyond(&wanted), None);
        assert_eq!(wanted.beyond(&Privileges::Root), None);
        assert_eq!(wanted.beyond(&capabilities(&["bpf", "kill"])), Some(capabilities(&["net_admin"])));
        assert_eq!(Privileges::Root.beyond(&wanted), Some(Privileges::Root));
        assert_eq!(Privileges::default().beyond(&Privileges::default()), None);
        insta::assert_snapshot!(wanted, @"the capabilities `net_admin`, `bpf`");
    }

    proptest::proptest! {
        #[test]
        fn what_is_beyond_a_grant_is_wanted_and_not_granted(wanted: u64, granted: u64) {
            let set = |bits: u64| -> BTreeSet<Capability> {
                Capability::all().filter(|capability| bits >> capability.number() & 1 == 1).collect()
            };
            let (wanted, granted) = (set(wanted), set(granted));
            let beyond = Privileges::Capabilities(wanted.clone()).beyond(&Privileges::Capabilities(granted.clone()));
            let Privileges::Capabilities(beyond) = beyond.unwrap_or_default() else { unreachable!() };
            for capability in Capability::all() {
                let is_beyond = wanted.contains(&capability) && !granted.contains(&capability);
                assert_eq!(beyond.contains(&capability), is_beyond);
            }
        }
    }
}
