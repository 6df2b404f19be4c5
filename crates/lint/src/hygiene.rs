// SPDX-License-Identifier: Apache-2.0
//! How objects are made, and what is left in them.

use package::{Function, HookPoint, ProgramKind};

use crate::examined::Examined;
use crate::rules::{ABSOLUTE_PATH, DEBUG_INFORMATION, HAND_CHAINING, NO_BTF, TRACE_PRINT, UNTYPED_READ};
use crate::{Finding, Place};

const TAIL_CALL: u32 = 12;
#[doc(alias = "BPF_MAP_TYPE_PROG_ARRAY")]
const PROG_ARRAY: u32 = 3;

pub(crate) fn check(examined: &Examined<'_>, findings: &mut Vec<Finding>) {
    let of_file = |rule, what: String| Finding::new(rule, Place::file(examined.path), what);
    if examined.object.has_dwarf {
        findings.push(of_file(&DEBUG_INFORMATION, "it has sections `.debug_*`".to_owned()));
    }
    if !examined.object.has_btf {
        findings.push(of_file(&NO_BTF, "it has no section `.BTF`".to_owned()));
    }
    let absolute: Vec<&String> = examined.code.files.iter().filter(|file| file.starts_with('/')).collect();
    if let Some(first) = absolute.first() {
        let others = match absolute.len() - 1 {
            0 => String::new(),
            more => format!(", and {more} more"),
        };
        findings.push(of_file(&ABSOLUTE_PATH, format!("it names `{first}`{others}")));
    }
    for function in &examined.code.functions {
        findings.extend(calls(examined, function));
    }
}

fn calls(examined: &Examined<'_>, function: &Function) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut find = |rule, slot, what: String| found.push(examined.at(rule, (function, slot), what));
    let mut array: Option<&str> = None;
    for insn in &function.instructions {
        match insn.helper() {
            Some(6) => find(&TRACE_PRINT, insn.slot, "it calls `bpf_trace_printk`".to_owned()),
            Some(177) => find(&TRACE_PRINT, insn.slot, "it calls `bpf_trace_vprintk`".to_owned()),
            Some(4) => find(&UNTYPED_READ, insn.slot, "it calls `bpf_probe_read`".to_owned()),
            Some(45) => find(&UNTYPED_READ, insn.slot, "it calls `bpf_probe_read_str`".to_owned()),
            // The array is the second argument; compilers take its address shortly before.
            Some(TAIL_CALL) => {
                if let Some(name) = array.filter(|name| is_for_others(examined, name)) {
                    let what = format!("it calls what is next in `{name}`");
                    find(&HAND_CHAINING, insn.slot, what);
                }
            }
            _ => {}
        }
        array = insn.map().filter(|_| insn.destination == 2).or(array);
    }
    found
}

/// Whether nobody but a loader of the old kind could fill a program array: neither its declaration nor a user program does.
fn is_for_others(examined: &Examined<'_>, name: &str) -> bool {
    let is_array = examined.map(name).is_some_and(|map| map.kind.0 == PROG_ARRAY);
    let has_user = examined.manifest.is_some_and(|manifest| manifest.user.is_some());
    let is_member = |kind: ProgramKind| {
        matches!(kind, ProgramKind::Chain(HookPoint::Xdp | HookPoint::TcIngress | HookPoint::TcEgress))
    };
    let chains = examined.manifest.is_none() || examined.programs().any(|program| is_member(program.hook));
    is_array && chains && !has_user && !examined.code.filled.contains(name)
}
