// SPDX-License-Identifier: Apache-2.0
//! What was seen in a kernel, in names and digests. Never a kernel id, never what was meant.

use std::collections::{BTreeMap, BTreeSet};

use package::{InterfaceName, KernelVersion, Layout, ProbeKind};

use crate::{Buffers, Hook, Instance, MemberSpec, ObservedProbes, State};

/// Everything a plan needs to know about one machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    /// What this kernel can do.
    pub facts: Facts,
    /// The interfaces that exist, the loopback included.
    pub interfaces: BTreeSet<InterfaceName>,
    /// The hooks where anything of ours was found.
    pub hooks: BTreeMap<Hook, ObservedHook>,
    /// Hooks that somebody else's program occupies alone, with a description of it.
    pub foreign: BTreeMap<Hook, String>,
    /// What was found of probes.
    pub probes: ObservedProbes,
}

/// What a kernel can do. Facts are observed, so that planning asks nobody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The running kernel.
    pub kernel: KernelVersion,
    /// Whether TC programs attach by link (TCX, Linux 6.6).
    pub tcx: bool,
    /// How many tail calls may follow each other; one is spent for each member (`MAX_TAIL_CALL_CNT`, 33).
    pub tail_calls: usize,
    /// Whether the members' own tail calls count against the same budget (Linux 6.12).
    pub tail_calls_shared: bool,
    /// Whether XDP programs may take packets in several buffers (Linux 5.18).
    pub fragments: bool,
    /// The kinds of probes that it was built or started without, and what is missing.
    pub lacks: BTreeMap<ProbeKind, String>,
}

/// What was found at one hook.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ObservedHook {
    /// The program that holds the link.
    pub root: Root,
    /// The root that gets packets, or would.
    pub entry: Buffers,
    /// The roots that are complete, and where each sends packets.
    pub roots: BTreeMap<Buffers, Target>,
    /// Every instance that has a pin, in the chain or not.
    pub instances: BTreeMap<Instance, ObservedInstance>,
    /// The order of the chain that the counters are summed up by.
    pub accounted: Vec<Instance>,
    /// The sets of maps that have a pin, with what lies where in them; none where making one was not finished.
    pub states: BTreeMap<State, Option<Layout>>,
}

/// The condition of a hook's root program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Root {
    /// There is none, or one that was not finished.
    #[default]
    Absent,
    /// It is loaded and receives no packets.
    Detached,
    /// It receives the packets of its hook.
    Attached,
    /// Its link or filter was there but leads nowhere: somebody detached it, or the interface went away.
    Severed,
}

/// Where a tail-call slot leads.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Target {
    /// Nowhere: the chain ends here.
    #[default]
    Nothing,
    /// To an instance of ours.
    Instance(Instance),
    /// To a program that is not ours.
    Foreign,
}

/// What was found of one instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedInstance {
    /// What it runs; `None` when loading it was not finished.
    pub spec: Option<MemberSpec>,
    /// Where it sends packets whose verdict is in its proceed set.
    pub next: Target,
}
