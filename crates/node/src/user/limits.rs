// SPDX-License-Identifier: Apache-2.0
//! How much a user program may use: the lower of what its manifest says and what the daemon's configuration allows.

use package::{CpuShare, MemorySize, UserProgram};
use wire::{LimitMeans, UserProgramLimit};

use super::cgroup::{Cgroup, Cgroups};
use crate::config::UserProgramsConfig;

/// The limits of one program; what is none is not limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Limits {
    pub(super) memory: Option<MemorySize>,
    pub(super) cpu: Option<CpuShare>,
}

/// What enforces limits.
#[derive(Debug, Default)]
pub(super) struct Enforced {
    /// The control group, where there is one; it goes when this does.
    pub(super) cgroup: Option<Cgroup>,
    /// The most bytes of an address space, where no control group counts memory.
    pub(super) address_space: Option<u64>,
    /// The same for people.
    pub(super) told: Vec<UserProgramLimit>,
}

impl Limits {
    pub(super) fn of(user: &UserProgram, config: &UserProgramsConfig) -> Self {
        Self { memory: lower(user.memory, config.memory), cpu: lower(user.cpu, config.cpu) }
    }

    /// The same, with this much memory at most.
    pub(super) fn with_memory(self, memory: Option<MemorySize>) -> Self {
        Self { memory: lower(self.memory, memory), ..self }
    }

    /// Has them enforced for a program of this name, as well as this node can.
    pub(super) fn enforce(self, cgroups: &Cgroups, name: &str) -> Enforced {
        if self == Self::default() {
            return Enforced::default();
        }
        let (cgroup, without) = match cgroups.make(name) {
            Ok(cgroup) => (Some(cgroup), String::new()),
            Err(why) => (None, why),
        };
        let limit = |control: &str, value: String| match &cgroup {
            Some(cgroup) => cgroup.limit(control, &value),
            None => Err(without.clone()),
        };
        let mut enforced = Enforced::default();
        if let Some(memory) = self.memory {
            let (means, reason) = match limit("memory.max", memory.bytes().to_string()) {
                Ok(()) => (LimitMeans::Cgroup, None),
                Err(why) => {
                    enforced.address_space = Some(memory.bytes());
                    (LimitMeans::Rlimit, Some(why))
                }
            };
            enforced.told.push(told("memory", memory.to_string(), means, reason));
        }
        if let Some(cpu) = self.cpu {
            // RLIMIT_CPU is a total after which a process is killed, and no rate: it is no substitute.
            let (means, reason) = match limit("cpu.max", cpu_max(cpu)) {
                Ok(()) => (LimitMeans::Cgroup, None),
                Err(why) => (LimitMeans::None, Some(why)),
            };
            enforced.told.push(told("cpu", cpu.to_string(), means, reason));
        }
        enforced.cgroup = cgroup;
        enforced
    }
}

fn told(resource: &str, limit: String, means: LimitMeans, reason: Option<String>) -> UserProgramLimit {
    UserProgramLimit { resource: resource.to_owned(), limit, means, reason }
}

/// Microseconds of each 100 milliseconds (cgroup v2, `cpu.max`).
fn cpu_max(share: CpuShare) -> String {
    const PERIOD_US: u64 = 100_000;
    format!("{} {PERIOD_US}", u64::from(share.percent()) * PERIOD_US / 100)
}

fn lower<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_bounds_what_a_manifest_asks_for_and_what_it_leaves_open() {
        assert_eq!(lower(Some(3), Some(2)), Some(2));
        assert_eq!(lower(Some(1), Some(2)), Some(1));
        assert_eq!(lower(None, Some(2)), Some(2));
        assert_eq!(lower(Some(1), None), Some(1));
        assert_eq!(cpu_max(50.try_into().unwrap()), "50000 100000");
        assert_eq!(cpu_max(250.try_into().unwrap()), "250000 100000");
        assert_eq!(cpu_max(1.try_into().unwrap()), "1000 100000");
    }

    #[test]
    fn where_there_are_no_control_groups_memory_is_bounded_by_process_and_time_is_not() {
        let limits = Limits { memory: Some("64MiB".parse().unwrap()), cpu: Some(50.try_into().unwrap()) };
        let enforced = limits.enforce(&Cgroups::none("nobody mounted any"), "a_b");
        assert_eq!(enforced.address_space, Some(64 * 1024 * 1024));
        let told: Vec<String> = enforced.told.iter().map(ToString::to_string).collect();
        insta::assert_snapshot!(told.join("\n"), @r"
        memory 64MiB for each process: nobody mounted any
        cpu NOT limited to 50%: nobody mounted any
        ");
        assert!(Limits::default().enforce(&Cgroups::none(""), "a_b").told.is_empty());
    }
}
