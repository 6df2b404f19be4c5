// SPDX-License-Identifier: Apache-2.0
//! What the oldest kernel that a package asks for can do.

use maps::{Endian, MapKind};
use package::{Function, Instruction, KernelVersion, ProgramKind};

use crate::examined::Examined;
use crate::helper::{Helper, since_by_name};
use crate::rules::{
    HELPER_TOO_NEW, HELPER_UNKNOWN, INSTRUCTION_TOO_NEW, KERNEL_FUNCTION, KERNEL_FUNCTION_TOO_NEW,
    MAP_KIND_TOO_NEW, PROGRAM_KIND_TOO_NEW, WRONG_ENDIAN,
};
use crate::{Finding, Place, instruction};

const fn version(major: u16, minor: u16) -> KernelVersion {
    KernelVersion { major, minor }
}

/// Since when XDP programs take packets in several buffers (`BPF_F_XDP_HAS_FRAGS`).
const FRAGMENTS: KernelVersion = version(5, 18);

pub(crate) fn check(examined: &Examined<'_>, findings: &mut Vec<Finding>) {
    let oldest = examined.oldest();
    for function in &examined.code.functions {
        for insn in &function.instructions {
            findings.extend(known(examined, function, insn));
            if let Some(oldest) = oldest {
                findings.extend(too_new(examined, function, insn, oldest));
            }
        }
    }
    findings.extend(platforms(examined));
    let Some(oldest) = oldest else { return };
    findings.extend(examined.declared().filter_map(|map| {
        let since = kind_since(map.kind).filter(|since| oldest < *since)?;
        let what = format!("the kind `{}` came with Linux {since}, and `kernel.min` is {oldest}", map.kind);
        Some(examined.at_map(&MAP_KIND_TOO_NEW, map, what))
    }));
    findings.extend(programs(examined, oldest));
}

/// What holds whatever kernel is asked for.
fn known(examined: &Examined<'_>, function: &Function, insn: &Instruction) -> Option<Finding> {
    let at = (function, insn.slot);
    if let Some((name, _)) = insn.kernel_function() {
        return Some(examined.at(
            &KERNEL_FUNCTION,
            at,
            format!("it calls the function `{name}` of the kernel"),
        ));
    }
    let number = insn.helper()?;
    let unknown = Helper::numbered(number).is_none();
    unknown.then(|| examined.at(&HELPER_UNKNOWN, at, format!("it calls the helper function {number}")))
}

fn too_new(
    examined: &Examined<'_>,
    function: &Function,
    insn: &Instruction,
    oldest: KernelVersion,
) -> Option<Finding> {
    let at = (function, insn.slot);
    let told = |what: &str, since| format!("{what} came with Linux {since}, and `kernel.min` is {oldest}");
    if let Some((name, is_weak)) = insn.kernel_function() {
        let since = since_by_name(name);
        let what = told(&format!("calling `{name}` by name"), since);
        return (!is_weak && oldest < since).then(|| examined.at(&KERNEL_FUNCTION_TOO_NEW, at, what));
    }
    if let Some(helper) = insn.helper().and_then(Helper::numbered).filter(|helper| oldest < helper.since) {
        let what = told(&format!("`bpf_{}`", helper.name), helper.since);
        return Some(examined.at(&HELPER_TOO_NEW, at, what));
    }
    let (what, since) = instruction::since(insn).filter(|(_, since)| oldest < *since)?;
    Some(examined.at(&INSTRUCTION_TOO_NEW, at, told(what, since)))
}

/// Programs and their kinds.
fn programs(examined: &Examined<'_>, oldest: KernelVersion) -> Vec<Finding> {
    let mut found = Vec::new();
    for program in examined.programs() {
        let function = examined.code.functions.iter().find(|known| known.name == program.function.as_ref());
        let takes_fragments =
            function.is_some_and(|function| function.section.split('/').next() == Some("xdp.frags"));
        let what = match program.hook {
            ProgramKind::Chain(hook) => format!("chains at the hook `{hook}`"),
            ProgramKind::Probe(kind) => format!("probes of the kind `{kind}` with links"),
        };
        let needs = [
            (what, program.hook.since()),
            (
                "XDP programs for packets in several buffers".to_owned(),
                if takes_fragments { FRAGMENTS } else { oldest },
            ),
        ];
        for (what, since) in needs.into_iter().filter(|(_, since)| oldest < *since) {
            let place = Place { function: Some(program.function.to_string()), ..Place::key("kernel.min") };
            let what = format!("{what} are there since Linux {since}, and `kernel.min` is {oldest}");
            found.push(Finding::new(&PROGRAM_KIND_TOO_NEW, place, what));
        }
    }
    found
}

/// The byte order of the machines of each platform.
fn platforms(examined: &Examined<'_>) -> Vec<Finding> {
    let platforms = examined.manifest.map(|manifest| manifest.platforms.as_slice()).unwrap_or_default();
    let wrong = platforms.iter().filter(|platform| {
        let big = ["s390x", "ppc64"].contains(&platform.architecture());
        big != (examined.object.endian == Endian::Big)
    });
    wrong
        .map(|platform| {
            let order = if examined.object.endian == Endian::Big { "highest" } else { "lowest" };
            let what = format!("machines of {platform} cannot load it: its {order} byte comes first");
            Finding::new(&WRONG_ENDIAN, Place::file(examined.path), what)
        })
        .collect()
}

/// The release in which a kind of map came (`data/feature-versions.yaml` of docs.ebpf.io; `instruction arrays` by
/// `kernel/bpf/bpf_insn_array.c`).
fn kind_since(kind: MapKind) -> Option<KernelVersion> {
    Some(match kind.0 {
        1 | 2 => version(3, 19),
        3 => version(4, 2),
        4 => version(4, 3),
        5..=7 => version(4, 6),
        8 => version(4, 8),
        9 | 10 => version(4, 10),
        11 => version(4, 11),
        12 | 13 => version(4, 12),
        14 | 15 => version(4, 14),
        16 => version(4, 15),
        17 | 18 => version(4, 18),
        19 | 20 => version(4, 19),
        21..=23 => version(4, 20),
        24 => version(5, 2),
        25 => version(5, 4),
        26 => version(5, 6),
        27 => version(5, 8),
        28 => version(5, 10),
        29 => version(5, 11),
        30 => version(5, 16),
        31 => version(6, 1),
        32 => version(6, 2),
        33 => version(6, 9),
        34 => version(6, 19),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_that_has_a_name_has_a_release() {
        for number in 1..=34 {
            assert!(kind_since(MapKind(number)).is_some(), "{}", MapKind(number));
        }
        assert_eq!(kind_since(MapKind(27)), Some(version(5, 8)));
    }
}
