// SPDX-License-Identifier: Apache-2.0
//! Where a probe attaches and how: all that its kind needs, and nothing else.

use std::fmt;
use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use crate::{
    AbsolutePath, CgroupEvent, EventName, Interface, NetfilterFamily, NetfilterHook, PerfCounter, ProbeKind,
    SymbolName,
};

/// When a function is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Moment {
    /// When it is entered.
    Entry,
    /// When it returns.
    Return,
}

/// What the kernel finds by its own types, before a program is loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Traced {
    /// The begin of a function.
    Fentry,
    /// The end of a function.
    Fexit,
    /// A tracepoint.
    TpBtf,
    /// A hook of the security modules.
    Lsm,
    /// A list of things in the kernel.
    Iter,
}

/// An end of a netkit device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// The one in the host.
    Primary,
    /// The one in the container.
    Peer,
}

/// How often a perf event runs its program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pace {
    /// So often in a second.
    Frequency(u64),
    /// Each time after so many events.
    Period(u64),
}

/// Where a probe attaches and how.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Attachment {
    /// A place in the kernel's code.
    Kprobe {
        /// Entry or return.
        moment: Moment,
        /// The function.
        symbol: SymbolName,
        /// Bytes behind its begin.
        offset: u64,
        /// What `bpf_get_attach_cookie` returns.
        cookie: u64,
    },
    /// A tracepoint.
    Tracepoint {
        /// Its category.
        category: EventName,
        /// Its name.
        name: EventName,
        /// What `bpf_get_attach_cookie` returns.
        cookie: u64,
    },
    /// A tracepoint, raw.
    RawTracepoint {
        /// Its name.
        name: EventName,
        /// What `bpf_get_attach_cookie` returns.
        cookie: u64,
    },
    /// A place in the code of an executable or library.
    Uprobe {
        /// Entry or return.
        moment: Moment,
        /// The file.
        path: AbsolutePath,
        /// The function; none where the offset is one in the file.
        symbol: Option<SymbolName>,
        /// Bytes behind it.
        offset: u64,
        /// The process; none for all.
        pid: Option<NonZeroU32>,
        /// What `bpf_get_attach_cookie` returns.
        cookie: u64,
    },
    /// A static probe of an executable or library.
    Usdt {
        /// The file.
        path: AbsolutePath,
        /// The provider.
        provider: EventName,
        /// The name.
        name: EventName,
        /// The process; none for all.
        pid: Option<NonZeroU32>,
        /// What `bpf_usdt_cookie` returns.
        cookie: u64,
    },
    /// Something that the kernel finds by its types.
    Traced {
        /// What kind of thing.
        what: Traced,
        /// Its name.
        symbol: SymbolName,
        /// What `bpf_get_attach_cookie` returns.
        cookie: u64,
    },
    /// A control group.
    Cgroup {
        /// Its folder.
        path: AbsolutePath,
        /// What happens in it.
        event: CgroupEvent,
    },
    /// The sockets of a control group.
    Sockops {
        /// Its folder.
        path: AbsolutePath,
    },
    /// A network namespace.
    SkLookup {
        /// Its file; none for that of the daemon.
        netns: Option<AbsolutePath>,
    },
    /// A hook of netfilter in the network namespace of the daemon.
    Netfilter {
        /// For which packets.
        family: NetfilterFamily,
        /// Where on their way.
        hook: NetfilterHook,
        /// The place among others, the least first.
        priority: i32,
        /// Whether packets are put together before.
        defragment: bool,
    },
    /// A counter.
    PerfEvent {
        /// What is counted.
        event: PerfCounter,
        /// How often the program runs.
        pace: Pace,
        /// The process; none for all.
        pid: Option<NonZeroU32>,
        /// The processor; none for all.
        cpu: Option<u32>,
        /// What `bpf_get_attach_cookie` returns.
        cookie: u64,
    },
    /// A netkit device.
    Netkit {
        /// Which end of it.
        side: Side,
        /// The end in the host, which both ends are attached by.
        interface: Interface,
    },
}

impl Attachment {
    /// The kind of probe that attaches so.
    pub fn kind(&self) -> ProbeKind {
        match self {
            Self::Kprobe { moment: Moment::Entry, .. } => ProbeKind::Kprobe,
            Self::Kprobe { moment: Moment::Return, .. } => ProbeKind::Kretprobe,
            Self::Tracepoint { .. } => ProbeKind::Tracepoint,
            Self::RawTracepoint { .. } => ProbeKind::RawTracepoint,
            Self::Uprobe { moment: Moment::Entry, .. } => ProbeKind::Uprobe,
            Self::Uprobe { moment: Moment::Return, .. } => ProbeKind::Uretprobe,
            Self::Usdt { .. } => ProbeKind::Usdt,
            Self::Traced { what: Traced::Fentry, .. } => ProbeKind::Fentry,
            Self::Traced { what: Traced::Fexit, .. } => ProbeKind::Fexit,
            Self::Traced { what: Traced::TpBtf, .. } => ProbeKind::TpBtf,
            Self::Traced { what: Traced::Lsm, .. } => ProbeKind::Lsm,
            Self::Traced { what: Traced::Iter, .. } => ProbeKind::Iter,
            Self::Cgroup { .. } => ProbeKind::Cgroup,
            Self::Sockops { .. } => ProbeKind::Sockops,
            Self::SkLookup { .. } => ProbeKind::SkLookup,
            Self::Netfilter { .. } => ProbeKind::Netfilter,
            Self::PerfEvent { .. } => ProbeKind::PerfEvent,
            Self::Netkit { side: Side::Primary, .. } => ProbeKind::NetkitPrimary,
            Self::Netkit { side: Side::Peer, .. } => ProbeKind::NetkitPeer,
        }
    }

    /// The number that the program can ask for.
    pub fn cookie(&self) -> u64 {
        match self {
            Self::Kprobe { cookie, .. }
            | Self::Tracepoint { cookie, .. }
            | Self::RawTracepoint { cookie, .. }
            | Self::Uprobe { cookie, .. }
            | Self::Usdt { cookie, .. }
            | Self::Traced { cookie, .. }
            | Self::PerfEvent { cookie, .. } => *cookie,
            Self::Cgroup { .. }
            | Self::Sockops { .. }
            | Self::SkLookup { .. }
            | Self::Netfilter { .. }
            | Self::Netkit { .. } => 0,
        }
    }
}

impl fmt::Display for Attachment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let behind = |offset: u64| if offset == 0 { String::new() } else { format!("+{offset:#x}") };
        match self {
            Self::Kprobe { symbol, offset, .. } => write!(f, "{symbol}{}", behind(*offset)),
            Self::Tracepoint { category, name, .. } => write!(f, "{category}:{name}"),
            Self::RawTracepoint { name, .. } => name.fmt(f),
            Self::Uprobe { path, symbol: Some(symbol), offset, .. } => {
                write!(f, "{path}:{symbol}{}", behind(*offset))
            }
            Self::Uprobe { path, symbol: None, offset, .. } => write!(f, "{path}{}", behind(*offset)),
            Self::Usdt { path, provider, name, .. } => write!(f, "{path}:{provider}:{name}"),
            Self::Traced { symbol, .. } => symbol.fmt(f),
            Self::Cgroup { path, event } => write!(f, "{path}:{event}"),
            Self::Sockops { path } => path.fmt(f),
            Self::SkLookup { netns: Some(netns) } => netns.fmt(f),
            Self::SkLookup { netns: None } => f.write_str("own network namespace"),
            Self::Netfilter { family, hook, priority, .. } => write!(f, "{family}:{hook}:{priority}"),
            Self::PerfEvent { event, .. } => event.fmt(f),
            Self::Netkit { interface, .. } => interface.fmt(f),
        }
    }
}
