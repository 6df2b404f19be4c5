// SPDX-License-Identifier: Apache-2.0
//! What probes attach to, looked for before anything is done: a missing target is told by its name.

use std::fs;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use package::{AbsolutePath, Attachment, EventName, PerfCounter, Traced};
use rustix::mount::{MountFlags, mount};

use super::super::device::interface_index;
use super::elf;

/// The tracing file system: its own place, and the one inside of debugfs.
const TRACEFS: [&str; 2] = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"];
/// `CGROUP2_SUPER_MAGIC` of `linux/magic.h`.
const CGROUP2_MAGIC: u32 = 0x6367_7270;

/// What is missing of a target; none where it is there, or only attaching can tell.
pub(in super::super) fn missing(attachment: &Attachment) -> Option<String> {
    match attachment {
        Attachment::Kprobe { symbol, .. } => missing_function(symbol.as_ref()),
        Attachment::Traced { what: Traced::Fentry | Traced::Fexit, symbol, .. } => {
            missing_function(symbol.as_ref())
        }
        Attachment::Traced { what: Traced::Lsm, symbol, .. } => {
            missing_kernel_symbol(&format!("bpf_lsm_{symbol}"), || format!("no security hook `{symbol}`"))
        }
        Attachment::Traced { what: Traced::TpBtf, symbol, .. } => missing_raw_tracepoint(symbol.as_ref()),
        Attachment::RawTracepoint { name, .. } => missing_raw_tracepoint(name.as_ref()),
        Attachment::Tracepoint { category, name, .. } => {
            let missing = tracepoint_id(category, name).is_err();
            missing.then(|| format!("this kernel has no tracepoint `{category}:{name}`"))
        }
        Attachment::Uprobe { path, symbol: Some(symbol), .. } => {
            elf::offset_of(path, symbol).err().map(|error| missing_in(path, &error))
        }
        Attachment::Uprobe { path, symbol: None, .. } => missing_file(path),
        Attachment::Usdt { path, provider, name, .. } => match elf::has_static_probe(path, provider, name) {
            Ok(true) => None,
            Ok(false) => Some(format!("`{path}` has no static probe `{provider}:{name}`")),
            Err(error) => Some(missing_in(path, &error)),
        },
        Attachment::Cgroup { path, .. } | Attachment::Sockops { path } => missing_cgroup(path),
        Attachment::SkLookup { netns } => netns.as_ref().and_then(missing_file),
        // The kernel has no list of what can be iterated over. Loading tells.
        Attachment::Traced { what: Traced::Iter, .. } | Attachment::Netfilter { .. } => None,
        Attachment::PerfEvent { event, cpu, .. } => missing_counter(*event, *cpu),
        Attachment::Netkit { interface, .. } => {
            let missing = interface_index(interface).is_err();
            missing.then(|| format!("there is no interface `{interface}`"))
        }
    }
}

/// Makes tracepoints visible where nobody did so before. Where it cannot be mounted there are none.
pub(in super::super) fn mount_tracefs() {
    if !TRACEFS.iter().any(|path| Path::new(path).join("events").exists()) {
        let _unmounted = mount("tracefs", TRACEFS[0], "tracefs", MountFlags::empty(), None);
    }
}

/// The events of the tracing file system.
pub(super) fn tracing_events() -> Option<PathBuf> {
    TRACEFS.iter().map(|path| Path::new(path).join("events")).find(|events| events.exists())
}

/// The number of a tracepoint.
pub(super) fn tracepoint_id(category: &EventName, name: &EventName) -> io::Result<u64> {
    let events = tracing_events().ok_or_else(|| io::Error::other("tracefs is not mounted"))?;
    let path = events.join(category.as_ref()).join(name.as_ref()).join("id");
    fs::read_to_string(path)?.trim().parse().map_err(io::Error::other)
}

/// The processors that are online, from a list as `0-3,5`.
pub(super) fn online_cpus() -> io::Result<Vec<i32>> {
    let list = fs::read_to_string("/sys/devices/system/cpu/online")?;
    parse_cpus(list.trim()).ok_or_else(|| io::Error::other(format!("`{list}` is not a list of processors")))
}

fn parse_cpus(text: &str) -> Option<Vec<i32>> {
    let mut cpus = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        cpus.extend(first.parse::<i32>().ok()?..=last.parse::<i32>().ok()?);
    }
    Some(cpus)
}

fn missing_function(symbol: &str) -> Option<String> {
    missing_kernel_symbol(symbol, || format!("no function `{symbol}`"))
}

/// Every tracepoint has a function that calls what is attached to it (Linux 5.10).
fn missing_raw_tracepoint(name: &str) -> Option<String> {
    missing_kernel_symbol(&format!("__traceiter_{name}"), || format!("no tracepoint `{name}`"))
}

fn missing_kernel_symbol(symbol: &str, what: impl FnOnce() -> String) -> Option<String> {
    match has_kernel_symbol(symbol) {
        Ok(false) => Some(format!("this kernel has {}", what())),
        // Without the list of its symbols only attaching can tell.
        Ok(true) | Err(_) => None,
    }
}

fn has_kernel_symbol(symbol: &str) -> io::Result<bool> {
    let mut lines = BufReader::new(fs::File::open("/proc/kallsyms")?).lines();
    lines.try_fold(false, |found, line| Ok(found || line?.split_ascii_whitespace().nth(2) == Some(symbol)))
}

fn missing_file(path: &AbsolutePath) -> Option<String> {
    fs::metadata(path.as_ref()).err().map(|error| missing_in(path, &error))
}

fn missing_in(path: &AbsolutePath, error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(_) if error.kind() == io::ErrorKind::NotFound => format!("there is no file `{path}`"),
        Some(_) => format!("`{path}` cannot be read: {error}"),
        None => error.to_string(),
    }
}

fn missing_cgroup(path: &AbsolutePath) -> Option<String> {
    match rustix::fs::statfs(path.as_ref()) {
        Ok(found) if u32::try_from(found.f_type) == Ok(CGROUP2_MAGIC) => None,
        Ok(_) => Some(format!("`{path}` is no control group of version 2")),
        Err(_) => Some(format!("there is no control group `{path}`")),
    }
}

fn missing_counter(event: PerfCounter, cpu: Option<u32>) -> Option<String> {
    let online = online_cpus().unwrap_or_default();
    let is_online = |cpu: u32| i32::try_from(cpu).is_ok_and(|cpu| online.contains(&cpu));
    if let Some(cpu) = cpu.filter(|cpu| !is_online(*cpu)) {
        return Some(format!("there is no processor {cpu} online"));
    }
    let (kind, _) = event.numbers();
    let hardware = kind == 0 && !Path::new("/sys/bus/event_source/devices/cpu").exists();
    hardware.then(|| format!("the processor does not count `{event}`"))
}

#[cfg(test)]
mod tests {
    use super::parse_cpus;

    #[test]
    fn a_list_of_processors_has_ranges() {
        assert_eq!(parse_cpus("0"), Some(vec![0]));
        assert_eq!(parse_cpus("0-2,5,7-8"), Some(vec![0, 1, 2, 5, 7, 8]));
        assert_eq!(parse_cpus(""), None);
    }
}
