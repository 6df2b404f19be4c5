// SPDX-License-Identifier: Apache-2.0
//! From what was observed to what the API shows.

use std::collections::BTreeMap;

use kernel::{Cell, Cells, Runs, Totals};
use package::{Config, Digest, HookPoint, Mechanism, MemberName};
use plan::{
    Choice, Code, Constant, Entry, Hook, Instance, ObservedHook, ObservedInstance, ObservedProbe, Root,
};
use wire::{ChainView, Count, MemberView, ProbeView, ReadOnlyDataView, RunTime};

/// One chain, with the sums of its members and the numbers of their programs. `chosen` is what the plan chooses for it now.
pub(crate) fn chain(
    hook: &Hook,
    found: &ObservedHook,
    (totals, programs): (&BTreeMap<MemberName, Totals>, &BTreeMap<Instance, u32>),
    chosen: Option<Choice>,
) -> ChainView {
    let order = found.order();
    let members = order.iter().filter_map(|instance| {
        let ObservedInstance { spec, code, .. } = found.instances.get(instance)?;
        let (spec, code) = (spec.as_ref()?, code.as_ref());
        let totals = totals.get(&instance.member).cloned().unwrap_or_default();
        Some(MemberView {
            name: spec.name.clone(),
            instance: instance.to_string(),
            program_id: programs.get(instance).copied(),
            package: format!("{}/{}", spec.package.publisher, spec.package.name),
            version: spec.package.version.to_string(),
            program: spec.function.to_string(),
            object_digest: spec.object.to_string(),
            code_digest: code.map(|code| code.digest.to_string()),
            untouched_digest: code.and_then(|code| code.untouched.as_ref()).map(ToString::to_string),
            read_only_data: code.and_then(read_only_data),
            proceed: spec.proceed.names().into_iter().map(str::to_owned).collect(),
            enforcement: spec.enforcement.to_string(),
            config: values(&spec.constants),
            configured_maps: digests(&spec.contents),
            seen: count(totals.seen()),
            left: verdicts(hook.point, &totals.left),
            passed: count(totals.passed),
            shadowed: verdicts(hook.point, &totals.shadowed),
            run: RunTime { runs: totals.run.packets, nanoseconds: totals.run.bytes },
        })
    });
    let ends_in_incumbent = found.accounted.last() == Some(&Instance::incumbent());
    let incumbent = totals.get(&Instance::incumbent().member);
    let mechanism = match found.entry {
        Entry::Root(_) | Entry::Head(_) => Mechanism::Splice,
        Entry::Dispatcher(_) => Mechanism::Dispatcher,
        Entry::Alone(_) => Mechanism::Alone,
    };
    let chosen = chosen.filter(|choice| choice.mechanism == mechanism);
    ChainView {
        interface: hook.interface.clone(),
        hook: hook.point,
        attached: found.root == Root::Attached,
        mechanism,
        reason: chosen.map(|choice| choice.reason.to_owned()),
        mode: found.mode,
        before: found.neighbours.before.clone(),
        behind: found.neighbours.behind.clone(),
        incumbent: ends_in_incumbent.then(|| count(incumbent.map(Totals::seen).unwrap_or_default())),
        members: members.collect(),
    }
}

/// One probe; none where loading it was not finished.
pub(crate) fn probe(instance: &Instance, found: &ObservedProbe, runs: Runs) -> Option<ProbeView> {
    let spec = found.spec.as_ref()?;
    Some(ProbeView {
        name: spec.name.clone(),
        kind: spec.attach.kind(),
        target: spec.attach.to_string(),
        attached: found.attached,
        instance: instance.to_string(),
        package: format!("{}/{}", spec.package.publisher, spec.package.name),
        version: spec.package.version.to_string(),
        program: spec.function.to_string(),
        object_digest: spec.object.to_string(),
        code_digest: found.code.as_ref().map(|code| code.digest.to_string()),
        read_only_data: found.code.as_ref().and_then(read_only_data),
        config: values(&spec.constants),
        configured_maps: digests(&spec.contents),
        run: RunTime { runs: runs.count, nanoseconds: runs.nanoseconds },
    })
}

/// The values of parameters.
fn values(constants: &BTreeMap<String, Constant>) -> Config {
    constants.iter().map(|(name, constant)| (name.clone(), constant.value.clone())).collect()
}

/// What maps hold that a document configures, by digest.
fn digests(contents: &BTreeMap<String, Digest>) -> BTreeMap<String, String> {
    contents.iter().map(|(name, digest)| (name.clone(), digest.to_string())).collect()
}

fn read_only_data(code: &Code) -> Option<ReadOnlyDataView> {
    let reason = code.read_only_data?.why_not();
    Some(ReadOnlyDataView { exclusive: reason.is_none(), reason: reason.map(str::to_owned) })
}

/// Counts by verdict; those of none are not shown.
fn verdicts(point: HookPoint, cells: &Cells) -> BTreeMap<String, Count> {
    let counted = cells.0.iter().enumerate().filter(|(_, cell)| cell.packets > 0);
    let named = counted.map(|(index, cell)| {
        let verdict = Cells::verdict(point, index).and_then(|value| point.verdict(value));
        (verdict.map_or("other", package::Verdict::name).to_owned(), count(*cell))
    });
    named.collect()
}

fn count(cell: Cell) -> Count {
    Count { packets: cell.packets, bytes: cell.bytes }
}
