// SPDX-License-Identifier: Apache-2.0
//! Who else holds an interface: the program by name and id, what kind of software it belongs to, and which processes
//! hold it. People who are refused an interface need to know whom to ask.

use std::fs;

use libbpf_rs::query::ProgInfoIter;

/// Programs that are known by their names.
const KNOWN: [(&str, &str); 5] = [
    ("xdp_dispatcher", "a dispatcher of libxdp or bpfman"),
    ("cil_", "of Cilium"),
    ("xdp_root", "the root of an older l3afd"),
    ("l3af_root", "the root of another l3afd"),
    ("l3af_dispatcher", "a dispatcher of another l3afd"),
];

/// Describes a program of somebody else by its id.
pub(super) fn describe(id: u32) -> String {
    // It may have gone since it was seen.
    let Some(name) = name(id) else { return format!("XDP program {id}") };
    let known = KNOWN.iter().find(|(start, _)| name.starts_with(start));
    let known = known.map_or_else(String::new, |(_, what)| format!(", {what}"));
    let processes = processes(id);
    let holders = if processes.is_empty() { "no process".to_owned() } else { processes.join(", ") };
    format!("XDP program `{name}` (id {id}){known}, held by {holders}")
}

/// A program's name as the kernel keeps it; none when it is gone.
pub(super) fn name(id: u32) -> Option<String> {
    let found = ProgInfoIter::default().find(|program| program.id == id)?;
    Some(found.name.to_string_lossy().into_owned())
}

/// The processes that have a descriptor of the program, or of a link to it: the kernel tells in `fdinfo`.
fn processes(id: u32) -> Vec<String> {
    let mut processes = Vec::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().filter_map(Result::ok) {
        let process = entry.file_name().to_string_lossy().into_owned();
        if process.bytes().all(|byte| byte.is_ascii_digit()) && holds(&process, id) {
            let command = fs::read_to_string(format!("/proc/{process}/comm")).unwrap_or_default();
            processes.push(format!("`{}` (process {process})", command.trim()));
        }
    }
    processes
}

fn holds(process: &str, id: u32) -> bool {
    let descriptors = fs::read_dir(format!("/proc/{process}/fdinfo")).into_iter().flatten();
    let mut infos = descriptors.filter_map(|entry| fs::read_to_string(entry.ok()?.path()).ok());
    infos.any(|info| {
        let mut lines = info.lines().filter_map(|line| line.strip_prefix("prog_id:"));
        lines.any(|found| found.trim() == id.to_string())
    })
}
