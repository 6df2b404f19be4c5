// SPDX-License-Identifier: Apache-2.0
//! The helper functions of Linux, and those that programs call by name.
//!
//! Numbers and names in `helpers.tsv` are those of `include/uapi/linux/bpf.h` (`___BPF_FUNC_MAPPER`). Each release added a range
//! of them at the end; where ranges end was taken from the commits in `data/feature-versions.yaml` of docs.ebpf.io and compared
//! with `docs/kernel-versions.md` of bcc, which names the release before for some (`bpf_jiffies64` came in 5.6,
//! `bpf_seq_printf` in 5.8). Which are for programs under the GPL is `gpl_only` of their `struct bpf_func_proto` in
//! `kernel/bpf/`, `kernel/trace/bpf_trace.c`, `net/core/` and `drivers/media/rc/bpf-lirc.c` of Linux 6.1. The list is complete:
//! since 6.2 the kernel adds functions by name only. When those came is in `kernel_functions.tsv`, from the first of the two lists, for
//! those that programs of packages can call; others are at least as new as the first ones (5.13).

use std::sync::LazyLock;

use package::KernelVersion;

const TABLE: &str = include_str!("helpers.tsv");
const BY_NAME: &str = include_str!("kernel_functions.tsv");

/// The table, read once, by number from 1.
static HELPERS: LazyLock<Vec<Helper>> =
    LazyLock::new(|| rows(TABLE).map(|line| Helper::read(line).expect("a test reads the table")).collect());

fn rows(table: &'static str) -> impl Iterator<Item = &'static str> {
    table.lines().filter(|line| !line.starts_with('#'))
}

/// Since when programs call a function of the kernel by name.
pub(crate) fn since_by_name(name: &str) -> KernelVersion {
    let since = rows(BY_NAME).filter_map(|line| line.split_once('\t')).find(|(known, _)| *known == name);
    let since = since.and_then(|(_, since)| since.parse().ok());
    since.unwrap_or(KernelVersion { major: 5, minor: 13 })
}

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
        let place = usize::try_from(number).ok()?.checked_sub(1)?;
        HELPERS.get(place).copied()
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
        let all = &HELPERS;
        assert!(all.iter().map(|helper| helper.number).eq(1..=211));
        assert!(all.is_sorted_by_key(|helper| helper.since));
    }

    #[test]
    fn functions_by_name_are_sorted_and_have_a_release() {
        let names: Vec<&str> = rows(BY_NAME).map(|line| line.split_once('\t').unwrap().0).collect();
        assert!(names.is_sorted());
        for line in rows(BY_NAME) {
            let since: KernelVersion = line.split_once('\t').unwrap().1.parse().unwrap();
            assert!(since >= since_by_name("nobody_knows_it"), "{line}");
        }
        assert_eq!(since_by_name("bpf_xdp_ct_lookup"), KernelVersion { major: 5, minor: 18 });
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
