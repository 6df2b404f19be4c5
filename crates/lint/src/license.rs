// SPDX-License-Identifier: Apache-2.0
//! Licences: what the kernel is told, what people are told, and who may call what.

use package::{Function, Instruction, KernelVersion};

use crate::examined::{Examined, Kind};
use crate::helper::{Helper, Whom};
use crate::rules::{GPL_HELPER, GPL_PROGRAM, LICENSE_CONTRADICTS, LICENSE_MISSING};
use crate::{Finding, Place};

/// What the kernel takes for compatible with the GPL (`license_is_gpl_compatible` in `include/linux/license.h`), and of which
/// families each says that it is.
const COMPATIBLE: [(&str, &[&str]); 6] = [
    ("GPL", &["GPL"]),
    ("GPL v2", &["GPL"]),
    ("GPL and additional rights", &["GPL"]),
    ("Dual BSD/GPL", &["GPL", "BSD"]),
    ("Dual MIT/GPL", &["GPL", "MIT"]),
    ("Dual MPL/GPL", &["GPL", "MPL"]),
];

pub(crate) fn check(examined: &Examined<'_>, findings: &mut Vec<Finding>) {
    let told = examined.object.license.as_deref();
    let families = COMPATIBLE.iter().find(|(text, _)| Some(*text) == told).map(|(_, families)| *families);
    if told.is_none_or(str::is_empty) {
        let what = "the object has no section `license`";
        findings.push(Finding::new(&LICENSE_MISSING, Place::file(examined.path), what));
    }
    if families.is_none() {
        for function in &examined.code.functions {
            let calls = function.instructions.iter().filter_map(|insn| refused(examined, function, insn));
            findings.extend(calls);
            findings.extend(security_module(examined, function));
        }
    }
    let Some((manifest, told)) = examined.manifest.zip(told) else { return };
    let stated = &manifest.package.license;
    let missing: Vec<&str> =
        families.unwrap_or_default().iter().copied().filter(|family| !mentions(stated, family)).collect();
    if !missing.is_empty() {
        let what = format!("it says `{stated}`, and `{}` tells the kernel `{told}`", examined.path);
        findings.push(Finding::new(&LICENSE_CONTRADICTS, Place::key("package.license"), what));
    }
}

/// A call that the kernel refuses to programs under other licences.
fn refused(examined: &Examined<'_>, function: &Function, insn: &Instruction) -> Option<Finding> {
    let at = (function, insn.slot);
    if let Some((name, _)) = insn.kernel_function() {
        let what = format!("it calls the function `{name}` of the kernel, {}", licensed(examined));
        return Some(examined.at(&GPL_PROGRAM, at, what));
    }
    let helper = insn.helper().and_then(Helper::numbered)?;
    let oldest = examined.oldest().unwrap_or(KernelVersion { major: u16::MAX, minor: 0 });
    let only = match helper.whom {
        Whom::Gpl => String::new(),
        Whom::GplBefore(since) if oldest < since => format!(" before Linux {since}"),
        Whom::All | Whom::GplBefore(_) => return None,
    };
    // The variants of these two kinds of programs are for all (`bpf_get_stackid_proto_pe`, `bpf_get_func_ip_proto_kprobe_multi`).
    let is_variant = matches!(
        (helper.name, function.kind()),
        ("get_stackid", "perf_event") | ("get_func_ip", "kprobe.multi" | "kretprobe.multi")
    );
    let what = format!("`bpf_{}` is for programs under the GPL{only}, {}", helper.name, licensed(examined));
    (!is_variant).then(|| examined.at(&GPL_HELPER, at, what))
}

/// `bpf_lsm_verify_prog` in `kernel/bpf/bpf_lsm.c`.
fn security_module(examined: &Examined<'_>, function: &Function) -> Option<Finding> {
    let what = || format!("it decides for the kernel's security modules, {}", licensed(examined));
    (function.kind() == "lsm").then(|| examined.at(&GPL_PROGRAM, (function, 0), what()))
}

fn licensed(examined: &Examined<'_>) -> String {
    match examined.object.license.as_deref() {
        None | Some("") => "and the object has no licence".to_owned(),
        Some(license) => format!("and the licence in the object is `{license}`"),
    }
}

/// Whether an SPDX expression names a licence of a family. The LGPL may be turned into the GPL (LGPL-2.1, section 3).
fn mentions(expression: &str, family: &str) -> bool {
    let Ok(expression) = spdx::Expression::parse(expression) else { return false };
    let names = expression.requirements().filter_map(|named| named.req.license.id());
    let mut names = names.map(|license| license.name);
    names.any(|name| name.starts_with(family) || (family == "GPL" && name.starts_with("LGPL")))
}

#[cfg(test)]
mod tests {
    use super::mentions;

    #[test]
    fn an_expression_names_families() {
        assert!(
            mentions("GPL-2.0-only OR BSD-2-Clause", "GPL")
                && mentions("GPL-2.0-only OR BSD-2-Clause", "BSD")
        );
        assert!(mentions("Apache-2.0 AND LGPL-2.1-or-later", "GPL"));
        assert!(!mentions("Apache-2.0 OR MIT", "GPL") && !mentions("Apache-2.0 OR MIT", "MPL"));
    }
}
