// SPDX-License-Identifier: Apache-2.0
//! What was seen in a kernel, in names and digests. Never a kernel id, never what was meant.

use std::collections::BTreeMap;

use package::{Interface, KernelVersion, Layout, MacAddress, ProbeKind, XdpMode};

use crate::{
    Buffers, Code, Entry, Hook, Incumbent, Instance, MemberSpec, Neighbours, ObservedProbes, SharedMap,
    State, Unbindable,
};

/// Everything a plan needs to know about one machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    /// What this kernel can do.
    pub facts: Facts,
    /// The interfaces that exist in the namespaces that were looked at, the loopback included, with the hardware addresses
    /// of those that have one.
    pub interfaces: BTreeMap<Interface, Option<MacAddress>>,
    /// Those of them that can have no XDP program which is bound to them, and why.
    pub unbindable: BTreeMap<Interface, Unbindable>,
    /// The hooks where anything of ours was found.
    pub hooks: BTreeMap<Hook, ObservedHook>,
    /// The maps that several members use, with what lies where in them; none where making one was not finished.
    pub shared: BTreeMap<SharedMap, Option<Layout>>,
    /// Hooks that somebody else's program occupies alone, with a description of it.
    pub foreign: BTreeMap<Hook, String>,
    /// What was found of probes.
    pub probes: ObservedProbes,
}

/// What a kernel can do. Facts are observed, so that planning asks nobody.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
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
    /// Whether XDP programs may be loaded for one device, to ask it about packets (Linux 6.3).
    pub device_bound: bool,
    /// Whether programs may take the place of functions of others (`BPF_PROG_TYPE_EXT`).
    pub extensions: bool,
    /// The kinds of probes that it was built or started without, and what is missing.
    pub lacks: BTreeMap<ProbeKind, String>,
}

/// What was found at one hook.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ObservedHook {
    /// The condition of the link or filter.
    pub root: Root,
    /// What gets packets, or would.
    pub entry: Entry,
    /// In which mode an XDP link runs; none where there is none.
    pub mode: Option<XdpMode>,
    /// Whose programs share a TC hook with the link.
    pub neighbours: Neighbours,
    /// What there is of the program of somebody else that had the hook before.
    pub incumbent: Incumbent,
    /// The roots that are complete, and where each sends packets.
    pub roots: BTreeMap<Buffers, Target>,
    /// The dispatchers by number, with the instances that took the place of their functions; none where building one was
    /// not finished, or something of it is gone.
    pub dispatchers: BTreeMap<u64, Option<Vec<Instance>>>,
    /// Every instance that has a pin, in the chain or not.
    pub instances: BTreeMap<Instance, ObservedInstance>,
    /// The order of the chain that the counters are summed up by.
    pub accounted: Vec<Instance>,
    /// The sets of maps that have a pin, with what lies where in them; none where making one was not finished.
    pub states: BTreeMap<State, Option<Layout>>,
}

/// The condition of a hook: whether its entry gets packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Root {
    /// There is no entry, or one that was not finished.
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
    /// To the program that had the hook before.
    Incumbent,
    /// To a program that is not ours.
    Foreign,
}

/// What was found of one instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedInstance {
    /// What it runs; `None` when loading it was not finished, when it was for a device that may be gone, or when
    /// its instructions are not those that were recorded.
    pub spec: Option<MemberSpec>,
    /// The digests of its instructions, as they were recorded when it was loaded.
    pub code: Option<Code>,
    /// Where it sends packets whose verdict is in its proceed set.
    pub next: Target,
}
