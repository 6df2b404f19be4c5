// SPDX-License-Identifier: Apache-2.0
//! From a program that is loaded to links, one way for each kind of probe.

use std::fs;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use libbpf_sys::{bpf_attach_type, bpf_prog_type};
use package::{
    AbsolutePath, Attachment, CgroupEvent, EventName, Moment, NetfilterFamily, NetfilterHook, Pace,
    PerfCounter, Side, Traced,
};

use super::super::device::{interface_index, within};
use super::super::sys::{self, LinkOptions, PerfEvent, Sample};
use super::{c_string, elf, target};

/// What the kernel calls programs of this kind, and what they are loaded for.
pub(super) fn spelling(attach: &Attachment) -> (bpf_prog_type, bpf_attach_type) {
    match attach {
        Attachment::Kprobe { .. } | Attachment::Uprobe { .. } => (libbpf_sys::BPF_PROG_TYPE_KPROBE, 0),
        // libbpf gives each place where such a probe is compiled in a cookie of its own, by one link for all.
        Attachment::Usdt { .. } => (libbpf_sys::BPF_PROG_TYPE_KPROBE, libbpf_sys::BPF_TRACE_UPROBE_MULTI),
        Attachment::Tracepoint { .. } => (libbpf_sys::BPF_PROG_TYPE_TRACEPOINT, 0),
        Attachment::RawTracepoint { .. } => (libbpf_sys::BPF_PROG_TYPE_RAW_TRACEPOINT, 0),
        Attachment::Traced { what: Traced::Lsm, .. } => {
            (libbpf_sys::BPF_PROG_TYPE_LSM, libbpf_sys::BPF_LSM_MAC)
        }
        Attachment::Traced { what, .. } => (libbpf_sys::BPF_PROG_TYPE_TRACING, traced(*what)),
        Attachment::Cgroup { event, .. } => cgroup(*event),
        Attachment::Sockops { .. } => (libbpf_sys::BPF_PROG_TYPE_SOCK_OPS, libbpf_sys::BPF_CGROUP_SOCK_OPS),
        Attachment::SkLookup { .. } => (libbpf_sys::BPF_PROG_TYPE_SK_LOOKUP, libbpf_sys::BPF_SK_LOOKUP),
        Attachment::Netfilter { .. } => (libbpf_sys::BPF_PROG_TYPE_NETFILTER, libbpf_sys::BPF_NETFILTER),
        Attachment::PerfEvent { .. } => (libbpf_sys::BPF_PROG_TYPE_PERF_EVENT, 0),
        Attachment::Netkit { side: Side::Primary, .. } => {
            (libbpf_sys::BPF_PROG_TYPE_SCHED_CLS, libbpf_sys::BPF_NETKIT_PRIMARY)
        }
        Attachment::Netkit { side: Side::Peer, .. } => {
            (libbpf_sys::BPF_PROG_TYPE_SCHED_CLS, libbpf_sys::BPF_NETKIT_PEER)
        }
    }
}

fn traced(what: Traced) -> bpf_attach_type {
    match what {
        Traced::Fentry => libbpf_sys::BPF_TRACE_FENTRY,
        Traced::Fexit => libbpf_sys::BPF_TRACE_FEXIT,
        Traced::TpBtf => libbpf_sys::BPF_TRACE_RAW_TP,
        Traced::Lsm => libbpf_sys::BPF_LSM_MAC,
        Traced::Iter => libbpf_sys::BPF_TRACE_ITER,
    }
}

fn cgroup(event: CgroupEvent) -> (bpf_prog_type, bpf_attach_type) {
    let address = |attach| (libbpf_sys::BPF_PROG_TYPE_CGROUP_SOCK_ADDR, attach);
    let socket = |attach| (libbpf_sys::BPF_PROG_TYPE_CGROUP_SOCK, attach);
    let option = |attach| (libbpf_sys::BPF_PROG_TYPE_CGROUP_SOCKOPT, attach);
    let packet = |attach| (libbpf_sys::BPF_PROG_TYPE_CGROUP_SKB, attach);
    match event {
        CgroupEvent::Ingress => packet(libbpf_sys::BPF_CGROUP_INET_INGRESS),
        CgroupEvent::Egress => packet(libbpf_sys::BPF_CGROUP_INET_EGRESS),
        CgroupEvent::SockCreate => socket(libbpf_sys::BPF_CGROUP_INET_SOCK_CREATE),
        CgroupEvent::SockRelease => socket(libbpf_sys::BPF_CGROUP_INET_SOCK_RELEASE),
        CgroupEvent::PostBind4 => socket(libbpf_sys::BPF_CGROUP_INET4_POST_BIND),
        CgroupEvent::PostBind6 => socket(libbpf_sys::BPF_CGROUP_INET6_POST_BIND),
        CgroupEvent::Bind4 => address(libbpf_sys::BPF_CGROUP_INET4_BIND),
        CgroupEvent::Bind6 => address(libbpf_sys::BPF_CGROUP_INET6_BIND),
        CgroupEvent::Connect4 => address(libbpf_sys::BPF_CGROUP_INET4_CONNECT),
        CgroupEvent::Connect6 => address(libbpf_sys::BPF_CGROUP_INET6_CONNECT),
        CgroupEvent::ConnectUnix => address(libbpf_sys::BPF_CGROUP_UNIX_CONNECT),
        CgroupEvent::Sendmsg4 => address(libbpf_sys::BPF_CGROUP_UDP4_SENDMSG),
        CgroupEvent::Sendmsg6 => address(libbpf_sys::BPF_CGROUP_UDP6_SENDMSG),
        CgroupEvent::SendmsgUnix => address(libbpf_sys::BPF_CGROUP_UNIX_SENDMSG),
        CgroupEvent::Recvmsg4 => address(libbpf_sys::BPF_CGROUP_UDP4_RECVMSG),
        CgroupEvent::Recvmsg6 => address(libbpf_sys::BPF_CGROUP_UDP6_RECVMSG),
        CgroupEvent::RecvmsgUnix => address(libbpf_sys::BPF_CGROUP_UNIX_RECVMSG),
        CgroupEvent::Getpeername4 => address(libbpf_sys::BPF_CGROUP_INET4_GETPEERNAME),
        CgroupEvent::Getpeername6 => address(libbpf_sys::BPF_CGROUP_INET6_GETPEERNAME),
        CgroupEvent::GetpeernameUnix => address(libbpf_sys::BPF_CGROUP_UNIX_GETPEERNAME),
        CgroupEvent::Getsockname4 => address(libbpf_sys::BPF_CGROUP_INET4_GETSOCKNAME),
        CgroupEvent::Getsockname6 => address(libbpf_sys::BPF_CGROUP_INET6_GETSOCKNAME),
        CgroupEvent::GetsocknameUnix => address(libbpf_sys::BPF_CGROUP_UNIX_GETSOCKNAME),
        CgroupEvent::Sysctl => (libbpf_sys::BPF_PROG_TYPE_CGROUP_SYSCTL, libbpf_sys::BPF_CGROUP_SYSCTL),
        CgroupEvent::Getsockopt => option(libbpf_sys::BPF_CGROUP_GETSOCKOPT),
        CgroupEvent::Setsockopt => option(libbpf_sys::BPF_CGROUP_SETSOCKOPT),
        CgroupEvent::Device => (libbpf_sys::BPF_PROG_TYPE_CGROUP_DEVICE, libbpf_sys::BPF_CGROUP_DEVICE),
    }
}

/// Attaches a program. All links together are one attachment.
pub(super) fn attach(program: BorrowedFd<'_>, attachment: &Attachment) -> io::Result<Vec<OwnedFd>> {
    let (_, kind) = spelling(attachment);
    let one = |link: io::Result<OwnedFd>| link.map(|link| vec![link]);
    match attachment {
        Attachment::Kprobe { moment, symbol, offset, cookie } => {
            let event = open_probe("kprobe", *moment, symbol.as_ref(), (*offset, -1))?;
            one(link_event(program, &event, *cookie))
        }
        Attachment::Uprobe { moment, path, symbol, offset, pid, cookie } => {
            let begin = symbol.as_ref().map(|symbol| elf::offset_of(path, symbol)).transpose()?;
            let offset = begin.unwrap_or_default().wrapping_add(*offset);
            let pid = pid.map_or(Ok(-1), |pid| i32::try_from(pid.get())).map_err(io::Error::other)?;
            let event = open_probe("uprobe", *moment, path.as_ref(), (offset, pid))?;
            one(link_event(program, &event, *cookie))
        }
        Attachment::Tracepoint { category, name, cookie } => {
            one(link_tracepoint(program, (category, name), *cookie))
        }
        Attachment::RawTracepoint { name, cookie } => {
            one(sys::open_raw_tracepoint(program, &c_string(name.as_ref())?, *cookie))
        }
        Attachment::Traced { cookie: 0, .. } => one(sys::create_link_to(program, 0, kind, LinkOptions::None)),
        Attachment::Traced { cookie, .. } => {
            one(sys::create_link_to(program, 0, kind, LinkOptions::Tracing { cookie: *cookie }))
        }
        Attachment::Cgroup { path, .. } | Attachment::Sockops { path } => one(link_file(program, path, kind)),
        Attachment::SkLookup { netns: Some(netns) } => one(link_file(program, netns, kind)),
        Attachment::SkLookup { netns: None } => {
            let own = "/proc/thread-self/ns/net".parse().map_err(io::Error::other)?;
            one(link_file(program, &own, kind))
        }
        Attachment::Netfilter { family, hook, priority, defragment } => {
            let options = netfilter(*family, *hook, *priority, u32::from(*defragment));
            one(sys::create_link_to(program, 0, kind, options))
        }
        Attachment::PerfEvent { event, pace, pid, cpu, cookie } => {
            let pid = pid.map_or(Ok(-1), |pid| i32::try_from(pid.get())).map_err(io::Error::other)?;
            link_counter(program, (*event, *pace), (pid, *cpu), *cookie)
        }
        Attachment::Netkit { interface, .. } => {
            let index = interface_index(interface)?;
            let how = sys::Linking::default();
            one(within(interface.namespace.as_ref(), || sys::create_link(program, index, kind, how)))
        }
        Attachment::Usdt { .. } => Err(io::Error::other("it is attached while it is loaded")),
    }
}

/// Attaches to a tracepoint, by its category and its name.
pub(in super::super) fn link_tracepoint(
    program: BorrowedFd<'_>,
    (category, name): (&EventName, &EventName),
    cookie: u64,
) -> io::Result<OwnedFd> {
    // `PERF_TYPE_TRACEPOINT`
    let (kind, config) = (2, target::tracepoint_id(category, name)?);
    let event = PerfEvent { kind, config, name: None, offset: 0, sample: Sample::Period(0), pid: -1, cpu: 0 };
    link_event(program, &sys::open_perf_event(&event)?, cookie)
}

/// Opens a probe in code: of the kernel, or of a file.
fn open_probe(source: &str, moment: Moment, name: &str, (offset, pid): (u64, i32)) -> io::Result<OwnedFd> {
    let folder = format!("/sys/bus/event_source/devices/{source}");
    let kind: u32 = fs::read_to_string(format!("{folder}/type"))?.trim().parse().map_err(io::Error::other)?;
    // The bit that makes it fire at the return, as in `config:0`.
    let bit = fs::read_to_string(format!("{folder}/format/retprobe"))?;
    let bit: u32 = bit.trim().trim_start_matches("config:").parse().map_err(io::Error::other)?;
    let config = if moment == Moment::Return { 1 << bit } else { 0 };
    let name = c_string(name)?;
    // An event is that of a process or of a processor; of all processors where it is a probe.
    let cpu = if pid == -1 { 0 } else { -1 };
    let sample = Sample::Period(0);
    sys::open_perf_event(&PerfEvent { kind, config, name: Some(&name), offset, sample, pid, cpu })
}

fn link_event(program: BorrowedFd<'_>, event: &OwnedFd, cookie: u64) -> io::Result<OwnedFd> {
    let options = LinkOptions::PerfEvent { cookie };
    sys::create_link_to(program, event.as_fd().as_raw_fd(), libbpf_sys::BPF_PERF_EVENT, options)
}

fn link_file(program: BorrowedFd<'_>, path: &AbsolutePath, kind: bpf_attach_type) -> io::Result<OwnedFd> {
    let file = File::open(path.as_ref())?;
    sys::create_link_to(program, file.as_raw_fd(), kind, LinkOptions::None)
}

/// A counter of one processor, or of each that is online.
fn link_counter(
    program: BorrowedFd<'_>,
    (event, pace): (PerfCounter, Pace),
    (pid, cpu): (i32, Option<u32>),
    cookie: u64,
) -> io::Result<Vec<OwnedFd>> {
    let (kind, config) = event.numbers();
    let sample = match pace {
        Pace::Frequency(frequency) => Sample::Frequency(frequency),
        Pace::Period(period) => Sample::Period(period),
    };
    let cpus = match (cpu, pid) {
        (Some(cpu), _) => vec![i32::try_from(cpu).map_err(io::Error::other)?],
        (None, -1) => target::online_cpus()?,
        (None, _) => vec![-1],
    };
    let link = |cpu: i32| {
        let event = PerfEvent { kind, config, name: None, offset: 0, sample, pid, cpu };
        link_event(program, &sys::open_perf_event(&event)?, cookie)
    };
    cpus.into_iter().map(link).collect()
}

/// Numbers of `linux/netfilter.h`; the flag puts packets together (`BPF_F_NETFILTER_IP_DEFRAG`).
fn netfilter(family: NetfilterFamily, hook: NetfilterHook, priority: i32, flags: u32) -> LinkOptions {
    let family = match family {
        NetfilterFamily::Ipv4 => 2,
        NetfilterFamily::Ipv6 => 10,
    };
    let hook = match hook {
        NetfilterHook::Prerouting => 0,
        NetfilterHook::Input => 1,
        NetfilterHook::Forward => 2,
        NetfilterHook::Output => 3,
        NetfilterHook::Postrouting => 4,
    };
    LinkOptions::Netfilter { family, hook, priority, flags }
}
