// SPDX-License-Identifier: Apache-2.0
//! Kinds of hooks, the verdicts that programs give there, and sets of them.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Where on an interface a chain runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HookPoint {
    /// Received packets, before the kernel allocates anything for them.
    #[doc(alias = "BPF_XDP")]
    Xdp,
    /// Received packets, before routing.
    #[doc(alias = "BPF_TCX_INGRESS")]
    TcIngress,
    /// Packets about to be sent.
    #[doc(alias = "BPF_TCX_EGRESS")]
    TcEgress,
}

/// A text is not the name of a hook.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{given}` is not a hook: it must be `xdp`, `tc-ingress` or `tc-egress`")]
pub struct BadHookPoint {
    /// What was given.
    pub given: String,
}

/// What a program says of a packet: the number it returns, at the hooks where that number has a meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Verdict {
    name: &'static str,
    value: i32,
}

/// The verdicts after which a chain goes on to the next member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProceedSet(BTreeSet<Verdict>);

/// A text is not the name of a verdict at a hook.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{given}` is not a verdict of the hook `{point}`; those are {}", known(*.point))]
pub struct UnknownVerdict {
    /// What was given.
    pub given: String,
    /// The hook.
    pub point: HookPoint,
}

/// `enum xdp_action` of `linux/bpf.h`.
const XDP: [Verdict; 5] = [
    Verdict { name: "aborted", value: 0 },
    Verdict { name: "drop", value: 1 },
    Verdict { name: "pass", value: 2 },
    Verdict { name: "tx", value: 3 },
    Verdict { name: "redirect", value: 4 },
];

/// `TC_ACT_*` of `linux/pkt_cls.h`.
const TC: [Verdict; 10] = [
    Verdict { name: "unspec", value: -1 },
    Verdict { name: "ok", value: 0 },
    Verdict { name: "reclassify", value: 1 },
    Verdict { name: "shot", value: 2 },
    Verdict { name: "pipe", value: 3 },
    Verdict { name: "stolen", value: 4 },
    Verdict { name: "queued", value: 5 },
    Verdict { name: "repeat", value: 6 },
    Verdict { name: "redirect", value: 7 },
    Verdict { name: "trap", value: 8 },
];

fn known(point: HookPoint) -> String {
    let names: Vec<String> = point.verdicts().iter().map(|verdict| format!("`{}`", verdict.name)).collect();
    names.join(", ")
}

impl HookPoint {
    /// All of them, in the order in which a received packet and its answer meet them.
    pub const ALL: [Self; 3] = [Self::Xdp, Self::TcIngress, Self::TcEgress];

    /// The verdicts that have a meaning here, by number.
    pub fn verdicts(self) -> &'static [Verdict] {
        match self {
            Self::Xdp => &XDP,
            Self::TcIngress | Self::TcEgress => &TC,
        }
    }

    /// The verdict with this number, if it has a meaning here.
    pub fn verdict(self, value: i32) -> Option<Verdict> {
        self.verdicts().iter().find(|verdict| verdict.value == value).copied()
    }

    /// The text of the hook.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Xdp => "xdp",
            Self::TcIngress => "tc-ingress",
            Self::TcEgress => "tc-egress",
        }
    }
}

impl fmt::Display for HookPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for HookPoint {
    type Err = BadHookPoint;

    fn from_str(text: &str) -> Result<Self, BadHookPoint> {
        let found = Self::ALL.into_iter().find(|point| point.as_str() == text);
        found.ok_or_else(|| BadHookPoint { given: text.to_owned() })
    }
}

impl Verdict {
    /// Its name, in lower case.
    pub fn name(self) -> &'static str {
        self.name
    }

    /// The number that a program returns to say it.
    pub fn value(self) -> i32 {
        self.value
    }
}

impl ProceedSet {
    /// The set where nothing else is said: XDP goes on after `pass`, TC after `ok`, `unspec` and `pipe`.
    pub fn default_for(point: HookPoint) -> Self {
        let names: &[&str] = match point {
            HookPoint::Xdp => &["pass"],
            HookPoint::TcIngress | HookPoint::TcEgress => &["ok", "unspec", "pipe"],
        };
        let chosen = point.verdicts().iter().filter(|verdict| names.contains(&verdict.name));
        Self(chosen.copied().collect())
    }

    /// Reads a list of names. The empty list is a set, too: after such a member the chain always ends.
    ///
    /// # Errors
    /// When one of the names is not a verdict of the hook.
    pub fn parse<T: AsRef<str>>(point: HookPoint, names: &[T]) -> Result<Self, UnknownVerdict> {
        let find = |name: &T| {
            let found = point.verdicts().iter().find(|verdict| verdict.name == name.as_ref());
            found.copied().ok_or_else(|| UnknownVerdict { given: name.as_ref().to_owned(), point })
        };
        names.iter().map(find).collect::<Result<_, _>>().map(Self)
    }

    /// Whether the chain goes on after a program returned this number.
    pub fn contains(&self, value: i32) -> bool {
        self.0.iter().any(|verdict| verdict.value == value)
    }

    /// The names of the verdicts, in alphabetical order.
    pub fn names(&self) -> Vec<&'static str> {
        self.0.iter().map(|verdict| verdict.name).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_verdict_is_told_with_the_known_ones() {
        let error = ProceedSet::parse(HookPoint::Xdp, &["ok"]).unwrap_err();
        insta::assert_snapshot!(error, @"`ok` is not a verdict of the hook `xdp`; those are `aborted`, `drop`, `pass`, `tx`, `redirect`");
    }

    #[test]
    fn the_defaults_are_those_of_a_passing_packet() {
        assert_eq!(ProceedSet::default_for(HookPoint::Xdp).names(), ["pass"]);
        assert_eq!(ProceedSet::default_for(HookPoint::TcEgress).names(), ["ok", "pipe", "unspec"]);
        assert!(ProceedSet::default_for(HookPoint::TcIngress).contains(-1));
    }

    #[test]
    fn a_hook_reads_as_it_prints() {
        for point in HookPoint::ALL {
            assert_eq!(point.to_string().parse(), Ok(point));
            assert_eq!(serde_json::to_string(&point).unwrap(), format!("\"{point}\""));
        }
    }
}
