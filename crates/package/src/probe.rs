// SPDX-License-Identifier: Apache-2.0
//! Kinds of probes: programs that run outside of any chain, and what kinds of programs there are at all.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{AttachKey, HookPoint, KernelVersion};

/// What makes a program run that is in no chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProbeKind {
    /// A function of the kernel is entered, or an instruction in it is reached.
    Kprobe,
    /// A function of the kernel returns.
    Kretprobe,
    /// A static tracepoint of the kernel.
    Tracepoint,
    /// The same before its arguments are copied.
    RawTracepoint,
    /// The same with typed arguments.
    #[doc(alias = "BPF_TRACE_RAW_TP")]
    TpBtf,
    /// A function of an executable or library is entered.
    Uprobe,
    /// A function of an executable or library returns.
    Uretprobe,
    /// A static probe of an executable or library (`sys/sdt.h`).
    Usdt,
    /// A function of the kernel is entered, by trampoline.
    Fentry,
    /// A function of the kernel returns, by trampoline.
    Fexit,
    /// A decision of the kernel's security modules.
    Lsm,
    /// What the processes of a control group do.
    Cgroup,
    /// Events of the sockets of a control group.
    Sockops,
    /// The choice of the socket that gets a packet.
    SkLookup,
    /// A hook of netfilter.
    Netfilter,
    /// A counter of the processor or the kernel overflows.
    PerfEvent,
    /// The end of a netkit device in the host.
    NetkitPrimary,
    /// The end of a netkit device in the container.
    NetkitPeer,
    /// Somebody reads the pin.
    Iter,
}

/// What kind of program something is: a member of chains or a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum ProgramKind {
    /// A member of chains at this hook.
    Chain(HookPoint),
    /// A probe.
    Probe(ProbeKind),
}

/// A text is not the name of a kind of program.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{given}` is not a kind of program; those are {}", known())]
pub struct BadProgramKind {
    /// What was given.
    pub given: String,
}

fn known() -> String {
    let chains = HookPoint::ALL.iter().map(|point| format!("`{point}`"));
    chains.chain(ProbeKind::ALL.iter().map(|kind| format!("`{kind}`"))).collect::<Vec<_>>().join(", ")
}

impl ProbeKind {
    /// All of them.
    pub const ALL: [Self; 19] = [
        Self::Kprobe,
        Self::Kretprobe,
        Self::Tracepoint,
        Self::RawTracepoint,
        Self::TpBtf,
        Self::Uprobe,
        Self::Uretprobe,
        Self::Usdt,
        Self::Fentry,
        Self::Fexit,
        Self::Lsm,
        Self::Cgroup,
        Self::Sockops,
        Self::SkLookup,
        Self::Netfilter,
        Self::PerfEvent,
        Self::NetkitPrimary,
        Self::NetkitPeer,
        Self::Iter,
    ];

    /// The text of the kind.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Kprobe => "kprobe",
            Self::Kretprobe => "kretprobe",
            Self::Tracepoint => "tracepoint",
            Self::RawTracepoint => "raw-tracepoint",
            Self::TpBtf => "tp-btf",
            Self::Uprobe => "uprobe",
            Self::Uretprobe => "uretprobe",
            Self::Usdt => "usdt",
            Self::Fentry => "fentry",
            Self::Fexit => "fexit",
            Self::Lsm => "lsm",
            Self::Cgroup => "cgroup",
            Self::Sockops => "sockops",
            Self::SkLookup => "sk-lookup",
            Self::Netfilter => "netfilter",
            Self::PerfEvent => "perf-event",
            Self::NetkitPrimary => "netkit-primary",
            Self::NetkitPeer => "netkit-peer",
            Self::Iter => "iter",
        }
    }

    /// The options that say where such a probe attaches, and how.
    pub fn options(self) -> &'static [AttachKey] {
        use AttachKey as Key;
        match self {
            Self::Kprobe => &[Key::Symbol, Key::Offset, Key::Cookie],
            Self::Kretprobe | Self::TpBtf | Self::Fentry | Self::Fexit | Self::Lsm => {
                &[Key::Symbol, Key::Cookie]
            }
            Self::Tracepoint | Self::RawTracepoint => &[Key::Tracepoint, Key::Cookie],
            Self::Uprobe | Self::Uretprobe => &[Key::Path, Key::Symbol, Key::Offset, Key::Pid, Key::Cookie],
            Self::Usdt => &[Key::Path, Key::Provider, Key::Name, Key::Pid, Key::Cookie],
            Self::Cgroup => &[Key::Cgroup, Key::Event],
            Self::Sockops => &[Key::Cgroup],
            Self::SkLookup => &[Key::Netns],
            Self::Netfilter => &[Key::Family, Key::Hook, Key::Priority, Key::Defragment],
            Self::PerfEvent => &[Key::Event, Key::Frequency, Key::Period, Key::Cpu, Key::Pid, Key::Cookie],
            Self::NetkitPrimary | Self::NetkitPeer => &[Key::Interface],
            Self::Iter => &[Key::Symbol],
        }
    }

    /// The oldest kernel on which a probe of this kind is attached by a link that can be pinned.
    ///
    /// # Minimum kernel version
    /// It is what is told.
    pub fn since(self) -> KernelVersion {
        let version = |major, minor| KernelVersion { major, minor };
        match self {
            // Perf events have links since then (`BPF_LINK_TYPE_PERF_EVENT`).
            Self::Kprobe
            | Self::Kretprobe
            | Self::Tracepoint
            | Self::Uprobe
            | Self::Uretprobe
            | Self::PerfEvent => version(5, 15),
            // Before, one probe has a link for each place where it is compiled in, which libbpf hides.
            Self::Usdt => version(6, 6),
            Self::RawTracepoint
            | Self::TpBtf
            | Self::Fentry
            | Self::Fexit
            | Self::Lsm
            | Self::Cgroup
            | Self::Sockops => version(5, 7),
            Self::Iter => version(5, 8),
            Self::SkLookup => version(5, 9),
            Self::Netfilter => version(6, 4),
            Self::NetkitPrimary | Self::NetkitPeer => version(6, 7),
        }
    }

    /// The word for it in the labels of images, as bpfman has it for the kinds it knows.
    pub(crate) fn label(self) -> String {
        self.as_str().replace('-', "_")
    }

    /// The beginnings of sections that libbpf takes for programs of this kind.
    pub(crate) fn sections(self) -> &'static [&'static str] {
        match self {
            Self::Kprobe => &["kprobe"],
            Self::Kretprobe => &["kretprobe"],
            Self::Tracepoint => &["tracepoint", "tp"],
            Self::RawTracepoint => &["raw_tracepoint", "raw_tp", "raw_tracepoint.w", "raw_tp.w"],
            Self::TpBtf => &["tp_btf"],
            Self::Uprobe => &["uprobe", "uprobe.s"],
            Self::Uretprobe => &["uretprobe", "uretprobe.s"],
            Self::Usdt => &["usdt", "usdt.s"],
            Self::Fentry => &["fentry", "fentry.s"],
            Self::Fexit => &["fexit", "fexit.s"],
            Self::Lsm => &["lsm", "lsm.s"],
            Self::Cgroup => &["cgroup", "cgroup_skb"],
            Self::Iter => &["iter", "iter.s"],
            // These say nothing of where.
            Self::Sockops
            | Self::SkLookup
            | Self::Netfilter
            | Self::PerfEvent
            | Self::NetkitPrimary
            | Self::NetkitPeer => &[],
        }
    }
}

impl fmt::Display for ProbeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl ProgramKind {
    /// The hook of a member of chains.
    pub fn chain(self) -> Option<HookPoint> {
        match self {
            Self::Chain(point) => Some(point),
            Self::Probe(_) => None,
        }
    }

    /// The oldest kernel on which such a program runs: that of its kind of probe, or that on which chains are tested.
    pub fn since(self) -> KernelVersion {
        match self {
            Self::Chain(_) => KernelVersion { major: 5, minor: 10 },
            Self::Probe(kind) => kind.since(),
        }
    }

    /// The kind of a probe.
    pub fn probe(self) -> Option<ProbeKind> {
        match self {
            Self::Chain(_) => None,
            Self::Probe(kind) => Some(kind),
        }
    }
}

impl fmt::Display for ProgramKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Chain(point) => point.fmt(f),
            Self::Probe(kind) => kind.fmt(f),
        }
    }
}

impl FromStr for ProgramKind {
    type Err = BadProgramKind;

    fn from_str(text: &str) -> Result<Self, BadProgramKind> {
        if let Ok(point) = text.parse() {
            return Ok(Self::Chain(point));
        }
        let found = ProbeKind::ALL.into_iter().find(|kind| kind.as_str() == text);
        found.map(Self::Probe).ok_or_else(|| BadProgramKind { given: text.to_owned() })
    }
}

spelled!(ProgramKind, BadProgramKind);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_reads_as_it_prints() {
        for kind in ProbeKind::ALL {
            assert_eq!(kind.to_string().parse(), Ok(ProgramKind::Probe(kind)));
            assert_eq!(serde_json::to_string(&kind).unwrap(), format!("\"{kind}\""));
        }
        assert_eq!("xdp".parse(), Ok(ProgramKind::Chain(HookPoint::Xdp)));
        let error = "kporbe".parse::<ProgramKind>().unwrap_err().to_string();
        assert!(error.starts_with("`kporbe` is not a kind of program; those are `xdp`, "), "{error}");
    }
}
