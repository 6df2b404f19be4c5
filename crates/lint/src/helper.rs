// SPDX-License-Identifier: Apache-2.0
//! The helper functions of Linux.
//!
//! Numbers and names in `helpers.tsv` are those of `include/uapi/linux/bpf.h` (`___BPF_FUNC_MAPPER`). Each release added a range
//! of them at the end; where ranges end was taken from the commits in `data/feature-versions.yaml` of docs.ebpf.io and compared
//! with `docs/kernel-versions.md` of bcc, which names the release before for some (`bpf_jiffies64` came in 5.6,
//! `bpf_seq_printf` in 5.8). Which are for programs under the GPL is `gpl_only` of their `struct bpf_func_proto` in
//! `kernel/bpf/`, `kernel/trace/bpf_trace.c`, `net/core/` and `drivers/media/rc/bpf-lirc.c` of Linux 6.1. The list is complete:
//! since 6.2 the kernel adds functions by name only.

use package::KernelVersion;

const TABLE: &str = include_str!("helpers.tsv");

/// A helper function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Helper {
    pub(crate) number: u32,
    /// Without `bpf_`.
    pub(crate) name: &'static str,
    /// The release in which it came.
    pub(crate) since: KernelVersion,
    /// For whom it is.
    pub(crate) whom: Whom,
}

/// Which programs may call a helper function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whom {
    /// All.
    All,
    /// Those under a licence that is compatible with the GPL.
    Gpl,
    /// The same, on kernels before this one.
    GplBefore(KernelVersion),
}

impl Helper {
    /// The helper function of a number.
    pub(crate) fn numbered(number: u32) -> Option<Self> {
        Self::all().find(|helper| helper.number == number)
    }

    /// All of them, by number.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        TABLE
            .lines()
            .filter(|line| !line.starts_with('#'))
            .map(|line| Self::read(line).expect("a test reads the table"))
    }

    fn read(line: &'static str) -> Option<Self> {
        let [number, name, since, whom] = line.split('\t').collect::<Vec<_>>()[..] else { return None };
        let whom = match whom {
            "-" => Whom::All,
            "gpl" => Whom::Gpl,
            before => Whom::GplBefore(before.strip_prefix("gpl <")?.parse().ok()?),
        };
        Some(Self { number: number.parse().ok()?, name, since: since.parse().ok()?, whom })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_read_whole_and_in_the_order_of_releases() {
        let all: Vec<Helper> = Helper::all().collect();
        assert!(all.iter().map(|helper| helper.number).eq(1..=211));
        assert!(all.is_sorted_by_key(|helper| helper.since));
    }

    #[test]
    fn what_is_known_of_some_is_in_it() {
        let told = |number| {
            Helper::numbered(number).map(|found| format!("{} {} {:?}", found.name, found.since, found.whom))
        };
        let version = KernelVersion { major: 5, minor: 8 };
        assert_eq!(told(5).unwrap(), format!("ktime_get_ns 4.1 {:?}", Whom::GplBefore(version)));
        assert_eq!(told(118).unwrap(), "jiffies64 5.6 All");
        assert_eq!(told(163).unwrap(), "check_mtu 5.12 Gpl");
        assert_eq!(told(181).unwrap(), "loop 5.17 All");
        assert_eq!(told(211).unwrap(), "cgrp_storage_delete 6.2 All");
        assert_eq!(told(212), None);
    }
}
