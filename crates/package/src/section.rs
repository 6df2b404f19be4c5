// SPDX-License-Identifier: Apache-2.0
//! What authors say of a probe's target in the name of its ELF section, as libbpf reads it: `SEC("kprobe/tcp_connect")`.

use crate::{AttachKey, AttachOptions, AttachValue, CgroupEvent, ProbeKind};

/// What the name of a section says of where its program attaches.
pub(crate) fn spoken(kind: ProbeKind, section: &str, said: &AttachOptions) -> AttachOptions {
    let Some((start, rest)) = section.split_once('/') else { return AttachOptions::default() };
    if !kind.sections().contains(&start) {
        return AttachOptions::default();
    }
    let pairs: Vec<(AttachKey, String)> = match kind {
        ProbeKind::Kprobe | ProbeKind::Kretprobe => function(rest, said),
        ProbeKind::Tracepoint => vec![(AttachKey::Tracepoint, rest.replacen('/', ":", 1))],
        ProbeKind::RawTracepoint => vec![(AttachKey::Tracepoint, rest.to_owned())],
        ProbeKind::Uprobe | ProbeKind::Uretprobe => match rest.rsplit_once(':') {
            Some((path, symbol)) => {
                let path = (AttachKey::Path, path.to_owned());
                std::iter::once(path).chain(function(symbol, said)).collect()
            }
            None => vec![(AttachKey::Path, rest.to_owned())],
        },
        ProbeKind::Usdt => {
            let parts: Vec<&str> = rest.rsplitn(3, ':').collect();
            let [name, provider, path] = parts.as_slice() else { return AttachOptions::default() };
            let keys = [(AttachKey::Path, path), (AttachKey::Provider, provider), (AttachKey::Name, name)];
            keys.into_iter().map(|(key, text)| (key, (*text).to_owned())).collect()
        }
        ProbeKind::Cgroup => cgroup_event(rest),
        ProbeKind::TpBtf | ProbeKind::Fentry | ProbeKind::Fexit | ProbeKind::Lsm | ProbeKind::Iter => {
            vec![(AttachKey::Symbol, rest.to_owned())]
        }
        ProbeKind::Sockops
        | ProbeKind::SkLookup
        | ProbeKind::Netfilter
        | ProbeKind::PerfEvent
        | ProbeKind::NetkitPrimary
        | ProbeKind::NetkitPeer => Vec::new(),
    };
    pairs.into_iter().map(|(key, text)| (key, AttachValue::from(text.as_str()))).collect()
}

/// `function+offset`. An offset belongs to its function: who names another one begins at zero.
fn function(text: &str, said: &AttachOptions) -> Vec<(AttachKey, String)> {
    if said.has(AttachKey::Symbol) || said.has(AttachKey::Offset) {
        let symbol = text.split('+').next().unwrap_or_default().to_owned();
        return vec![(AttachKey::Symbol, symbol)];
    }
    match text.split_once('+') {
        None => vec![(AttachKey::Symbol, text.to_owned())],
        Some((symbol, offset)) => {
            let hex = offset.strip_prefix("0x").map(|digits| u64::from_str_radix(digits, 16));
            let offset = match hex {
                Some(Ok(number)) => number.to_string(),
                Some(Err(_)) | None => offset.to_owned(),
            };
            vec![(AttachKey::Symbol, symbol.to_owned()), (AttachKey::Offset, offset)]
        }
    }
}

fn cgroup_event(rest: &str) -> Vec<(AttachKey, String)> {
    match rest {
        // It does not say in which direction.
        "skb" => Vec::new(),
        "sock" => vec![(AttachKey::Event, CgroupEvent::SockCreate.to_string())],
        event => vec![(AttachKey::Event, event.to_owned())],
    }
}
