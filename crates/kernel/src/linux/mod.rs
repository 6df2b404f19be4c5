// SPDX-License-Identifier: Apache-2.0
//! The real kernel, through libbpf.

mod attach;
mod blank;
mod clsact;
mod code;
mod configured;
mod device;
mod dispatcher;
mod exclusive;
mod execute;
mod fill;
mod glance;
mod holder;
mod incumbent;
mod inherit;
mod known;
mod load;
mod log;
mod maps;
mod netlink;
mod observe;
mod open_map;
mod pins;
mod probe;
mod qdisc;
mod root;
mod samples;
mod state;
mod sys;
mod template;
mod trial;
mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::CStr;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use package::{Attachment, FlowFilter, HookPoint, MemberName, NetworkNamespace, Share};
use plan::{Desired, Hook, Instance, MemberSpec, Observed, ProbeSpec, SharedMap, State, Step};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use thiserror::Error;

use crate::{Ended, Glance, Holdings, Kernel, Ledger, Refused, Runs, Totals, Unseen};
pub use dispatcher::extensions_are_permitted;
pub use fill::{create_constants, open_map, whole_number};
use glance::KnownPins;
use known::Known;
pub use open_map::{Batch, Batches, Change, Heard, MapEvents, NotChanged, OpenMap, Values};
use pins::Pins;
pub use samples::Samples;
use samples::Sampling;
pub use trial::{Attached, Candidate, Foreign, Membership, PacketContext, Ran, Stand, Stood, Terms, Trial};
pub use watch::{Caller, Stir, Watch};

/// The kernel of this machine, as seen from one network namespace.
#[derive(Debug)]
pub struct Linux {
    pins: Pins,
    known: Known,
    known_pins: Option<KnownPins>,
}

/// The kernel cannot be used.
#[derive(Debug, Error)]
#[error("cannot use the kernel through `{}`", pins.display())]
pub struct Unopened {
    /// The folder of the pins.
    pub pins: PathBuf,
    /// Why not.
    #[source]
    pub source: io::Error,
}

impl Linux {
    /// Uses the kernel through a folder of pins, for instance `/sys/fs/bpf/l3af`. A bpffs is mounted where there is
    /// none.
    ///
    /// # Errors
    /// When bpffs cannot be mounted or libbpf cannot be set up; both need root.
    pub fn open(pins: &Path) -> Result<Self, Unopened> {
        let unopened = |source| Unopened { pins: pins.to_owned(), source };
        set_up_process().map_err(unopened)?;
        let opened = Pins::open(pins).map_err(unopened)?;
        inherit::finish(&opened).map_err(unopened)?;
        Ok(Self { pins: opened, known: Known::default(), known_pins: None })
    }
}

impl Linux {
    /// Where the maps of a member are pinned, by name.
    fn maps_of(&self, hook: &Hook, spec: &MemberSpec) -> io::Result<BTreeMap<String, PathBuf>> {
        let state = self.pins.state(hook, &State { member: spec.name.clone(), object: spec.object });
        let instance = self.newest(hook, spec)?;
        fill::kept(&state, &self.pins.all_of(&SharedMap::of(hook, spec)), instance.as_deref())
    }

    /// Where the maps are pinned that are kept for a member or a probe.
    fn kept_of(state: &Path, shared: &BTreeMap<String, PathBuf>) -> io::Result<BTreeMap<String, PathBuf>> {
        let mut maps = fill::kept(state, shared, None)?;
        maps.extend(fill::sections(state, shared)?);
        Ok(maps)
    }

    /// The maps of a member with those that a document configures.
    fn all_of(&self, hook: &Hook, spec: &MemberSpec) -> io::Result<BTreeMap<String, PathBuf>> {
        let own = State { member: spec.name.clone(), object: spec.object };
        let mut maps =
            Self::kept_of(&self.pins.state(hook, &own), &self.pins.all_of(&SharedMap::of(hook, spec)))?;
        maps.extend(configured::newest(&self.pins.instances(hook), &own, &spec.contents)?);
        Ok(maps)
    }

    fn all_of_probe(&self, spec: &ProbeSpec) -> io::Result<BTreeMap<String, PathBuf>> {
        let own = probe::state_of(spec);
        let shared = self.pins.all_of(&SharedMap::of_probe(spec));
        let mut maps = Self::kept_of(&self.pins.probe_state(&own), &shared)?;
        maps.extend(configured::newest(&self.pins.probe_instances(), &own, &spec.contents)?);
        Ok(maps)
    }

    /// The folder of the newest instance of a member.
    fn newest(&self, hook: &Hook, spec: &MemberSpec) -> io::Result<Option<PathBuf>> {
        let names = pins::names(&self.pins.instances(hook))?;
        let instances = names.iter().filter_map(|name| pins::parse_instance(name));
        let newest = instances.filter(|found| found.member == spec.name).max_by_key(|found| found.serial);
        Ok(newest.map(|instance| self.pins.instance(hook, &instance)))
    }
}

impl Holdings for Linux {
    fn inherit(&mut self, links: &Path, programs: &Path) -> Result<BTreeSet<Hook>, Unseen> {
        inherit::inherit(&self.pins, links, programs)
            .map_err(|source| Unseen::new(format!("the links in `{}`", links.display()), source))
    }

    fn expose(&mut self, folder: &Path, members: &[(&Hook, &MemberSpec)]) -> Result<(), Unseen> {
        let unseen = |source: io::Error| Unseen::new(format!("the maps for `{}`", folder.display()), source);
        let mut maps = BTreeMap::new();
        for (hook, spec) in members {
            maps.extend(self.maps_of(hook, spec).map_err(unseen)?);
        }
        fill::expose(&maps, folder).map_err(unseen)
    }

    fn expose_program(&mut self, hook: &Hook, spec: &MemberSpec, place: &Path) -> Result<(), Unseen> {
        let unseen =
            |source: io::Error| Unseen::new(format!("the program for `{}`", place.display()), source);
        match self.newest(hook, spec).map_err(unseen)? {
            Some(instance) => fill::expose_program(&instance.join("program"), place).map_err(unseen),
            None => Ok(()),
        }
    }

    fn maps(&self, hook: &Hook, spec: &MemberSpec) -> Result<BTreeMap<String, PathBuf>, Unseen> {
        self.all_of(hook, spec).map_err(|source| Unseen::new(format!("the maps of `{}`", spec.name), source))
    }

    fn probe_maps(&self, spec: &ProbeSpec) -> Result<BTreeMap<String, PathBuf>, Unseen> {
        self.all_of_probe(spec).map_err(|source| Unseen::new(format!("the maps of `{}`", spec.name), source))
    }

    fn program_ids(&self, hook: &Hook) -> Result<BTreeMap<Instance, u32>, Unseen> {
        observe::program_ids(&self.pins, hook)
            .map_err(|source| Unseen::new(format!("the programs of `{hook}`"), source))
    }
}

impl Kernel for Linux {
    fn observe(&self, namespaces: &BTreeSet<NetworkNamespace>) -> Result<Observed, Unseen> {
        observe::observe(&self.pins, namespaces)
    }

    fn glance(&mut self, namespaces: &BTreeSet<NetworkNamespace>) -> Result<Option<Glance>, Unseen> {
        glance::glance(&self.pins, &mut self.known_pins, namespaces)
            .map_err(|source| Unseen::new("whether anything changed".to_owned(), source))
    }

    fn execute(&mut self, step: &Step, desired: &Desired) -> Result<(), Refused> {
        execute::execute(&self.pins, &mut self.known, step, desired)
    }

    fn end(&mut self, ended: Ended) -> Result<(), Refused> {
        let filled = std::mem::take(&mut self.known.filled);
        // The last one first: two may have written to one map. One that fails keeps nothing else from it.
        let written = filled.iter().rev().filter(|_| ended == Ended::Halted);
        let mut failed: Vec<_> = written.filter_map(|filled| filled.take_back().err()).collect();
        let failed = failed.pop().map(|left| Refused::action("take back what was written to a map", left));
        failed.map_or(Ok(()), Err)
    }

    fn missing(&self, attachment: &Attachment) -> Option<String> {
        probe::missing(attachment)
    }

    fn runs(&self) -> Result<BTreeMap<Instance, Runs>, Unseen> {
        probe::runs(&self.pins).map_err(|source| Unseen::new("the runs of the probes", source))
    }

    fn totals(&self, hook: &Hook) -> Result<BTreeMap<MemberName, Totals>, Unseen> {
        let unseen = |source: io::Error| Unseen::new(format!("the counters of `{hook}`"), source);
        let ledger: Ledger = maps::read_ledger(&self.pins, hook).map_err(unseen)?;
        let readings = maps::read_counters(&self.pins, hook).map_err(unseen)?;
        Ok(ledger.totals(&readings))
    }

    fn sample(&mut self, hook: &Hook, filter: FlowFilter, share: Option<Share>) -> Result<Samples, Unseen> {
        let unseen = |source: io::Error| Unseen::new(format!("the packets of `{hook}`"), source);
        let sampling = Arc::new(Sampling::new(hook.point, filter, share).map_err(unseen)?);
        self.known.sample(hook, &sampling);
        Samples::listen(sampling).map_err(unseen)
    }
}

/// How a kind of hook is spelled for the kernel.
struct Spelling {
    kind: libbpf_sys::bpf_prog_type,
    /// What programs are loaded for. All members of a program array must agree, the root included (Linux 5.15.y).
    load: libbpf_sys::bpf_attach_type,
    /// Where the link attaches.
    attach: libbpf_sys::bpf_attach_type,
    /// What the root answers when the chain is empty.
    pass: i32,
    /// The name of the structure that its programs get.
    context: &'static CStr,
}

impl Spelling {
    fn of(point: HookPoint) -> Self {
        let tc = |attach| Self {
            kind: libbpf_sys::BPF_PROG_TYPE_SCHED_CLS,
            load: 0,
            attach,
            pass: -1,
            context: c"__sk_buff",
        };
        match point {
            HookPoint::Xdp => Self {
                kind: libbpf_sys::BPF_PROG_TYPE_XDP,
                load: libbpf_sys::BPF_XDP,
                attach: libbpf_sys::BPF_XDP,
                pass: 2,
                context: c"xdp_md",
            },
            HookPoint::TcIngress => tc(libbpf_sys::BPF_TCX_INGRESS),
            HookPoint::TcEgress => tc(libbpf_sys::BPF_TCX_EGRESS),
        }
    }
}

/// What a process does once before it loads programs; again does no harm.
fn set_up_process() -> io::Result<()> {
    lift_memory_limit();
    probe::mount_tracefs();
    sys::register_handlers()
}

/// Before Linux 5.11 maps count against the locked memory of the process. Where the limit cannot be lifted, creating
/// a map fails and says so.
fn lift_memory_limit() {
    let limit = getrlimit(Resource::Memlock);
    if limit.current.is_some() {
        let _refused = setrlimit(Resource::Memlock, Rlimit { current: None, maximum: None });
    }
}
