// SPDX-License-Identifier: Apache-2.0
//! The steps for probes. A change loads a new instance beside the running one, attaches it, and then removes the old one:
//! for a moment both see the events, and none goes unseen. Only where the kernel has room for one, at a place of
//! netfilter, the old one leaves first.

use std::collections::{BTreeMap, BTreeSet};

use package::{Attachment, KernelVersion, MemberName, ProbeKind, Traced};
use thiserror::Error;

use crate::carry::keep;
use crate::reconcile::Phases;
use crate::{Desired, Facts, Instance, Observed, ObservedProbes, Planned, Probe, ProbeStep, State, Step};

/// Why a probe cannot run on this machine.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ProbeRefusal {
    /// The kernel is too old for it.
    #[error("{what} of the probe `{probe}` needs Linux {needs}; this is Linux {kernel}")]
    TooOld {
        /// The probe.
        probe: MemberName,
        /// What needs it.
        what: String,
        /// The oldest kernel that has it.
        needs: KernelVersion,
        /// The running kernel.
        kernel: KernelVersion,
    },
    /// The kernel was built or started without it.
    #[error("the probe `{probe}` is of the kind `{kind}`, which this kernel does not have: {lacks}")]
    Lacking {
        /// The probe.
        probe: MemberName,
        /// Its kind.
        kind: ProbeKind,
        /// What is missing.
        lacks: String,
    },
    /// There is nothing to attach to.
    #[error("the probe `{probe}` has no target: {missing}")]
    NoTarget {
        /// The probe.
        probe: MemberName,
        /// What is missing.
        missing: String,
    },
    /// Two probes are at a place that has room for one.
    #[error("the probes `{probe}` and `{other}` are both at `{place}` of netfilter, which has room for one")]
    SamePlace {
        /// One of them.
        probe: MemberName,
        /// The other.
        other: MemberName,
        /// The place.
        place: String,
    },
    /// A map of a new release is laid out in another way than the one that is in use.
    #[error(
        "map `{map}` of the probe `{probe}` holds state that the new release cannot read: it had `{was}`, and wants \
         `{becomes}`"
    )]
    Layout {
        /// The probe.
        probe: MemberName,
        /// The map.
        map: String,
        /// The first field that differs, as it is.
        was: String,
        /// The same as it would be.
        becomes: String,
    },
}

impl ProbeRefusal {
    /// What can be done about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::TooOld { .. } => "`docs/probes.md` lists what each kind of probe needs",
            Self::Lacking { .. } => "use another kind of probe, or another kernel",
            Self::NoTarget { .. } => "correct `attach` of the probe, or begin with `enabled = false`",
            Self::SamePlace { .. } => "give one of them another `priority`",
            Self::Layout { .. } => {
                "to begin with an empty map, say `upgrade = \"fresh\"` in a `[[map]]` of `package.toml`, or run the release \
                 under another name"
            }
        }
    }
}

/// Plans for all probes.
pub(crate) fn plan(desired: &Desired, observed: &Observed, phases: &mut Phases) -> Result<(), ProbeRefusal> {
    admit(desired, observed)?;
    let found = &observed.probes;
    let enabled = || desired.probes().values().filter(|probe| probe.is_enabled());
    let kept: BTreeSet<&Instance> =
        enabled().filter_map(|probe| Some(found.running(probe.spec())?.0)).collect();
    for probe in desired.probes().values() {
        carry(found, probe, phases)?;
    }
    for probe in enabled() {
        reach(found, probe, &kept, phases);
    }
    for instance in found.instances.keys().filter(|instance| !kept.contains(instance)) {
        let step = ProbeStep::Remove { instance: instance.clone() };
        phases.clean.push(planned(step, "another one is in its place, or none is wanted"));
    }
    let states: BTreeSet<State> = desired.probes().values().map(Probe::state).collect();
    for state in found.states.keys().filter(|state| !states.contains(state)) {
        let step = ProbeStep::Forget { state: state.clone() };
        phases.clean.push(planned(step, "no probe uses them"));
    }
    Ok(())
}

/// Says what cannot run, before anything is planned.
fn admit(desired: &Desired, observed: &Observed) -> Result<(), ProbeRefusal> {
    let mut places: BTreeMap<String, &MemberName> = BTreeMap::new();
    for probe in desired.probes().values().filter(|probe| probe.is_enabled()) {
        let spec = probe.spec();
        let name = || spec.name.clone();
        admit_kernel(probe, &observed.facts)?;
        if let Some(missing) =
            observed.probes.absent.get(&spec.name).filter(|_| !observed.probes.is_attached(spec))
        {
            return Err(ProbeRefusal::NoTarget { probe: name(), missing: missing.clone() });
        }
        if let Some(place) = sole_place(&spec.attach)
            && let Some(other) = places.insert(place.clone(), &spec.name)
        {
            return Err(ProbeRefusal::SamePlace { probe: name(), other: other.clone(), place });
        }
    }
    Ok(())
}

fn admit_kernel(probe: &Probe, facts: &Facts) -> Result<(), ProbeRefusal> {
    let (spec, kernel) = (probe.spec(), facts.kernel);
    let (name, kind) = (|| spec.name.clone(), spec.attach.kind());
    let manifest = &probe.verified().package().manifest;
    let needs = [
        (format!("package `{}`", manifest.package.name), manifest.kernel.min),
        (format!("the kind `{kind}`"), since(kind)),
        (format!("an option of the kind `{kind}`"), options_since(&spec.attach)),
    ];
    if let Some((what, needs)) = needs.into_iter().find(|(_, needs)| kernel < *needs) {
        return Err(ProbeRefusal::TooOld { probe: name(), what, needs, kernel });
    }
    match facts.lacks.get(&kind) {
        Some(lacks) => Err(ProbeRefusal::Lacking { probe: name(), kind, lacks: lacks.clone() }),
        None => Ok(()),
    }
}

/// The oldest kernel with links of a kind that can be pinned.
fn since(kind: ProbeKind) -> KernelVersion {
    let version = |major, minor| KernelVersion { major, minor };
    match kind {
        // Perf events have links since then (`BPF_LINK_TYPE_PERF_EVENT`).
        ProbeKind::Kprobe
        | ProbeKind::Kretprobe
        | ProbeKind::Tracepoint
        | ProbeKind::Uprobe
        | ProbeKind::Uretprobe
        | ProbeKind::PerfEvent => version(5, 15),
        // Before, one probe has a link for each place where it is compiled in, which libbpf hides.
        ProbeKind::Usdt => version(6, 6),
        ProbeKind::RawTracepoint
        | ProbeKind::TpBtf
        | ProbeKind::Fentry
        | ProbeKind::Fexit
        | ProbeKind::Lsm
        | ProbeKind::Cgroup
        | ProbeKind::Sockops => version(5, 7),
        ProbeKind::Iter => version(5, 8),
        ProbeKind::SkLookup => version(5, 9),
        ProbeKind::Netfilter => version(6, 4),
        ProbeKind::NetkitPrimary | ProbeKind::NetkitPeer => version(6, 7),
    }
}

/// The oldest kernel that knows the options; the oldest of all where none needs one.
fn options_since(attach: &Attachment) -> KernelVersion {
    let version = |major, minor| KernelVersion { major, minor };
    if matches!(
        attach,
        Attachment::RawTracepoint { cookie: 1.., .. }
            | Attachment::Traced { what: Traced::TpBtf, cookie: 1.., .. }
    ) {
        version(6, 10)
    } else if matches!(attach, Attachment::Traced { cookie: 1.., .. }) {
        version(5, 19)
    } else if matches!(attach, Attachment::Netfilter { defragment: true, .. }) {
        version(6, 6)
    } else {
        version(0, 0)
    }
}

/// The place, where the kernel has room for one program there (`nf_hook_entries_grow`).
fn sole_place(attach: &Attachment) -> Option<String> {
    matches!(attach, Attachment::Netfilter { .. }).then(|| attach.to_string())
}

/// Brings one probe to where it should be.
fn reach(found: &ObservedProbes, probe: &Probe, kept: &BTreeSet<&Instance>, phases: &mut Phases) {
    let spec = || Box::new(probe.spec().clone());
    let (instance, reason) = match found.running(probe.spec()) {
        Some((_, running)) if running.attached => return,
        Some((instance, _)) => (instance.clone(), "it is loaded, and no events reach it"),
        None => {
            let instance = fresh(found, &probe.spec().name);
            let step = ProbeStep::Load { instance: instance.clone(), spec: spec() };
            phases.prepare.push(planned(step, "no instance runs this"));
            (instance, "events reach it from here on")
        }
    };
    if let Some(place) = sole_place(&probe.spec().attach) {
        let there = |instance: &Instance| {
            let spec = found.instances.get(instance).and_then(|found| found.spec.as_ref());
            spec.and_then(|spec| sole_place(&spec.attach)).as_ref() == Some(&place)
        };
        for old in found.instances.keys().filter(|old| !kept.contains(old) && there(old)) {
            let step = ProbeStep::Detach { instance: old.clone() };
            phases.switch.push(planned(step, "the place has room for one"));
        }
    }
    phases.switch.push(planned(ProbeStep::Attach { instance, spec: spec() }, reason));
}

/// Lets a probe that gets another object begin with the maps of the one before.
fn carry(found: &ObservedProbes, probe: &Probe, phases: &mut Phases) -> Result<(), ProbeRefusal> {
    let to = probe.state();
    if found.states.get(&to).is_some_and(Option::is_some) {
        return Ok(());
    }
    let complete = found.states.iter().filter(|(state, _)| state.member == to.member && **state != to);
    let complete = complete.filter_map(|(state, layout)| Some((state, layout.as_ref()?)));
    let specs = |attached| {
        let instances = found.instances.values().filter(move |found| found.attached == attached);
        instances.filter_map(|found| found.spec.as_ref())
    };
    let running = specs(true).chain(specs(false)).find(|spec| spec.name == to.member);
    let is_running = |state: &State| running.is_some_and(|spec| spec.object == state.object);
    // The maps of the instance that is attached, else any that are complete.
    let Some((from, layout)) = complete.max_by_key(|(state, _)| is_running(state)) else { return Ok(()) };
    let is_own = |map: &str| !probe.spec().shares.contains_key(map);
    let maps = keep(layout, probe.layout(), (is_own, |map: &str| probe.begins_fresh(map))).map_err(
        |(map, difference)| {
            let told = |line: Option<String>| line.unwrap_or_else(|| "nothing more".to_owned());
            let (was, becomes) = (told(difference.was), told(difference.becomes));
            ProbeRefusal::Layout { probe: to.member.clone(), map, was, becomes }
        },
    )?;
    if !maps.is_empty() {
        let step = ProbeStep::Carry { from: from.clone(), to, maps };
        phases.prepare.push(planned(step, "the new release goes on where the old one was"));
    }
    Ok(())
}

/// A name that no instance has yet.
fn fresh(found: &ObservedProbes, probe: &MemberName) -> Instance {
    let serials = found.instances.keys().filter(|instance| instance.member == *probe);
    let highest = serials.map(|instance| instance.serial).max().unwrap_or_default();
    Instance { member: probe.clone(), serial: highest + 1 }
}

fn planned(step: ProbeStep, reason: &'static str) -> Planned {
    Planned { step: Step::Probe(step), reason }
}
