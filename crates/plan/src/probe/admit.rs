// SPDX-License-Identifier: Apache-2.0
//! Admission: whether this machine can run a probe.

use std::collections::BTreeMap;

use package::{Attachment, KernelVersion, MemberName, Traced};

use crate::refusals::Found;
use crate::{Desired, Facts, Observed, Probe, ProbeRefusal};

/// Says what cannot run, before anything is planned.
pub(super) fn admit(desired: &Desired, observed: &Observed, refusals: &mut Found) {
    let mut places: BTreeMap<String, &MemberName> = BTreeMap::new();
    for probe in desired.probes().values().filter(|probe| probe.is_enabled()) {
        let spec = probe.spec();
        let name = || spec.name.clone();
        refusals.take(admit_kernel(probe, &observed.facts));
        if let Some(missing) =
            observed.probes.absent.get(&spec.name).filter(|_| !observed.probes.is_attached(spec))
        {
            refusals.note(ProbeRefusal::NoTarget { probe: name(), missing: missing.clone() });
        }
        if let Some(place) = sole_place(&spec.attach)
            && let Some(other) = places.insert(place.clone(), &spec.name)
        {
            refusals.note(ProbeRefusal::SamePlace { probe: name(), other: other.clone(), place });
        }
    }
}

fn admit_kernel(probe: &Probe, facts: &Facts) -> Result<(), ProbeRefusal> {
    let (spec, kernel) = (probe.spec(), facts.kernel);
    let (name, kind) = (|| spec.name.clone(), spec.attach.kind());
    let manifest = &probe.verified().package().manifest;
    let needs = [
        (format!("package `{}`", manifest.package.name), manifest.kernel.min),
        (format!("the kind `{kind}`"), kind.since()),
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
pub(super) fn sole_place(attach: &Attachment) -> Option<String> {
    matches!(attach, Attachment::Netfilter { .. }).then(|| attach.to_string())
}
