// SPDX-License-Identifier: Apache-2.0
//! What the daemon itself takes, as the kernel tells it of each process (proc(5)), under the names that collectors know.

use std::fs;

use crate::metrics::{Family, Kind};

/// What the daemon takes. What cannot be read is left out.
pub(crate) fn families() -> Vec<Family> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let descriptors = fs::read_dir("/proc/self/fd").ok().map(|entries| entries.count() as u64);
    let bytes = of_status(&status, "VmRSS").map(|kibibytes| kibibytes * 1024);
    let family = |name: &str, kind, help, value: Option<u64>| {
        value.map(|value| Family::new(name, kind, help, vec![(Vec::new(), value)]))
    };
    let memory =
        family("process_resident_memory_bytes", Kind::Gauge, "The memory that the daemon has", bytes);
    let threads =
        family("process_threads", Kind::Gauge, "The threads of the daemon", of_status(&status, "Threads"));
    let open =
        family("process_open_fds", Kind::Gauge, "The descriptors that the daemon has open", descriptors);
    let help = "The time of processors that the daemon took";
    let time = family("l3af_process_cpu_milliseconds", Kind::Counter, help, milliseconds(&stat));
    let time = time.map(|family| family.of("milliseconds"));
    [memory.map(|family| family.of("bytes")), threads, open, time].into_iter().flatten().collect()
}

/// The number behind a name in `/proc/self/status`.
fn of_status(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

/// The fields `utime` and `stime` of `/proc/self/stat`, which count in hundredths of a second for all programs (`USER_HZ`).
fn milliseconds(stat: &str) -> Option<u64> {
    const OF_ONE: u64 = 10;
    // The name in the second field may have blanks and brackets; what is behind its end has not.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut times = fields.split_ascii_whitespace().skip(11).map(|field| field.parse::<u64>().ok());
    Some((times.next()?? + times.next()??) * OF_ONE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_where_the_kernel_tells_them() {
        assert_eq!(of_status("Name:\tl3afd\nVmRSS:\t   36352 kB\nThreads:\t7\n", "VmRSS"), Some(36352));
        assert_eq!(of_status("VmRSSx: 1\n", "VmRSS"), None);
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 9 0 0 0 150 25 0 0 20 0 7 0 1 2 3";
        assert_eq!(milliseconds(stat), Some(1750));
        assert_eq!(families().len(), 4);
    }
}
