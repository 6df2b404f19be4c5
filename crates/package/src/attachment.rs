// SPDX-License-Identifier: Apache-2.0
//! Where a probe attaches and how: all that its kind needs, and nothing else.

use std::fmt;
use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use crate::attach::Reader;
use crate::section::spoken;
use crate::{
    AbsolutePath, AttachKey, AttachOptions, BadAttachment, CgroupEvent, EventName, Interface,
    NetfilterFamily, NetfilterHook, PerfCounter, ProbeKind, SymbolName,
};

/// The root of the control groups, where nothing else is said.
const CGROUPS: &str = "/sys/fs/cgroup";

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
    /// Makes an attachment of a kind from what is said, and from what the section of the program says where nothing is.
    ///
    /// # Errors
    /// When an option is missing, wrong, or not one of the kind.
    pub fn settle(kind: ProbeKind, section: &str, said: &AttachOptions) -> Result<Self, BadAttachment> {
        said.check(kind)?;
        let options = said.or(&spoken(kind, section, said));
        let reader = Reader { kind, options: &options };
        let cookie = || reader.number(AttachKey::Cookie, &(0..=u64::MAX)).map(Option::unwrap_or_default);
        let cgroup = || {
            let root = || CGROUPS.parse().expect("it is an absolute path");
            Ok(reader.parsed(AttachKey::Cgroup)?.unwrap_or_else(root))
        };
        Ok(match kind {
            ProbeKind::Kprobe | ProbeKind::Kretprobe => Self::Kprobe {
                moment: if kind == ProbeKind::Kprobe { Moment::Entry } else { Moment::Return },
                symbol: reader.required(AttachKey::Symbol)?,
                offset: reader.parsed(AttachKey::Offset)?.unwrap_or_default(),
                cookie: cookie()?,
            },
            ProbeKind::Tracepoint => {
                let TracepointName(category, name) = reader.required(AttachKey::Tracepoint)?;
                Self::Tracepoint { category, name, cookie: cookie()? }
            }
            ProbeKind::RawTracepoint => {
                Self::RawTracepoint { name: reader.required(AttachKey::Tracepoint)?, cookie: cookie()? }
            }
            ProbeKind::Uprobe => uprobe(&reader, Moment::Entry, cookie()?)?,
            ProbeKind::Uretprobe => uprobe(&reader, Moment::Return, cookie()?)?,
            ProbeKind::Usdt => Self::Usdt {
                path: reader.required(AttachKey::Path)?,
                provider: reader.required(AttachKey::Provider)?,
                name: reader.required(AttachKey::Name)?,
                pid: reader.parsed(AttachKey::Pid)?,
                cookie: cookie()?,
            },
            ProbeKind::TpBtf => traced(&reader, Traced::TpBtf, cookie()?)?,
            ProbeKind::Fentry => traced(&reader, Traced::Fentry, cookie()?)?,
            ProbeKind::Fexit => traced(&reader, Traced::Fexit, cookie()?)?,
            ProbeKind::Lsm => traced(&reader, Traced::Lsm, cookie()?)?,
            ProbeKind::Iter => traced(&reader, Traced::Iter, 0)?,
            ProbeKind::Cgroup => Self::Cgroup { path: cgroup()?, event: reader.required(AttachKey::Event)? },
            ProbeKind::Sockops => Self::Sockops { path: cgroup()? },
            ProbeKind::SkLookup => Self::SkLookup { netns: reader.parsed(AttachKey::Netns)? },
            ProbeKind::Netfilter => netfilter(&reader)?,
            ProbeKind::PerfEvent => perf_event(&reader, cookie()?)?,
            ProbeKind::NetkitPrimary => netkit(&reader, Side::Primary)?,
            ProbeKind::NetkitPeer => netkit(&reader, Side::Peer)?,
        })
    }

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

/// `category:name`.
struct TracepointName(EventName, EventName);

impl std::str::FromStr for TracepointName {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = text
            .split_once(':')
            .and_then(|(category, name)| Some(Self(category.parse().ok()?, name.parse().ok()?)));
        parts.ok_or("it must be `category:name`")
    }
}

fn uprobe(reader: &Reader<'_>, moment: Moment, cookie: u64) -> Result<Attachment, BadAttachment> {
    let (symbol, offset) = (reader.parsed(AttachKey::Symbol)?, reader.parsed(AttachKey::Offset)?);
    if symbol.is_none() && offset.is_none() {
        return Err(BadAttachment::Missing { kind: reader.kind, option: AttachKey::Symbol });
    }
    let path = reader.required(AttachKey::Path)?;
    let pid = reader.parsed(AttachKey::Pid)?;
    Ok(Attachment::Uprobe { moment, path, symbol, offset: offset.unwrap_or_default(), pid, cookie })
}

fn traced(reader: &Reader<'_>, what: Traced, cookie: u64) -> Result<Attachment, BadAttachment> {
    Ok(Attachment::Traced { what, symbol: reader.required(AttachKey::Symbol)?, cookie })
}

fn netfilter(reader: &Reader<'_>) -> Result<Attachment, BadAttachment> {
    Ok(Attachment::Netfilter {
        family: reader.required(AttachKey::Family)?,
        hook: reader.required(AttachKey::Hook)?,
        // The kernel keeps the first and the last place for itself (`bpf_nf_check_pf_and_hooks`).
        priority: reader
            .number(AttachKey::Priority, &(i32::MIN + 1..=i32::MAX - 1))?
            .ok_or(BadAttachment::Missing { kind: reader.kind, option: AttachKey::Priority })?,
        defragment: reader.parsed(AttachKey::Defragment)?.unwrap_or_default(),
    })
}

fn perf_event(reader: &Reader<'_>, cookie: u64) -> Result<Attachment, BadAttachment> {
    reader.either(AttachKey::Frequency, AttachKey::Period)?;
    let frequency = reader.number(AttachKey::Frequency, &(1..=100_000))?.map(Pace::Frequency);
    let period = reader.number(AttachKey::Period, &(1..=u64::MAX))?.map(Pace::Period);
    let missing = BadAttachment::Missing { kind: reader.kind, option: AttachKey::Frequency };
    Ok(Attachment::PerfEvent {
        event: reader.required(AttachKey::Event)?,
        pace: frequency.or(period).ok_or(missing)?,
        pid: reader.parsed(AttachKey::Pid)?,
        cpu: reader.number(AttachKey::Cpu, &(0..=65_535))?,
        cookie,
    })
}

fn netkit(reader: &Reader<'_>, side: Side) -> Result<Attachment, BadAttachment> {
    Ok(Attachment::Netkit { side, interface: reader.required(AttachKey::Interface)? })
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
