// SPDX-License-Identifier: Apache-2.0
//! From options, as people write them, to an attachment: all that a kind needs, and nothing else.

use crate::attach::Reader;
use crate::section::spoken;
use crate::{
    AttachKey, AttachOptions, Attachment, BadAttachment, EventName, Moment, Pace, ProbeKind, Side, Traced,
};

/// The root of the control groups, where nothing else is said.
const CGROUPS: &str = "/sys/fs/cgroup";

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
