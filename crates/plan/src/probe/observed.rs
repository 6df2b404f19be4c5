// SPDX-License-Identifier: Apache-2.0
//! What was seen of probes in a kernel, in names and digests.

use std::collections::BTreeMap;

use package::{Layout, MemberName};

use crate::{Code, Instance, ProbeSpec, State};

/// What was found of all probes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ObservedProbes {
    /// Every instance that has a pin.
    pub instances: BTreeMap<Instance, ObservedProbe>,
    /// The sets of maps that have a pin, with what lies where in them; none where making one was not finished.
    pub states: BTreeMap<State, Option<Layout>>,
    /// The probes whose target was looked for and is not there, with what is missing.
    pub absent: BTreeMap<MemberName, String>,
}

/// What was found of one instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedProbe {
    /// What it runs; `None` when loading it was not finished, or its instructions are not those that were recorded.
    pub spec: Option<ProbeSpec>,
    /// The digests of its instructions, as they were recorded when it was loaded.
    pub code: Option<Code>,
    /// Whether events reach it.
    pub attached: bool,
}

impl ObservedProbes {
    /// The instance that runs this already; one that is attached goes before one that is not.
    pub fn running(&self, spec: &ProbeSpec) -> Option<(&Instance, &ObservedProbe)> {
        let same = self.instances.iter().filter(|(_, found)| found.spec.as_ref() == Some(spec));
        same.max_by_key(|(instance, found)| (found.attached, instance.serial))
    }

    /// Whether events reach an instance that runs this.
    pub fn is_attached(&self, spec: &ProbeSpec) -> bool {
        self.running(spec).is_some_and(|(_, found)| found.attached)
    }
}
