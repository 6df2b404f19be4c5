// SPDX-License-Identifier: Apache-2.0
//! A plan as a value: steps in names and digests, each with its reason.

use std::collections::BTreeSet;
use std::fmt;

use package::{Position, XdpMode};

use crate::{Buffers, Entry, Hook, Instance, MemberSpec, PackageRef, ProbeStep, SharedMap, State};

/// The place a tail call reads its target from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Slot {
    /// The slot of a root program of the hook.
    Root(Buffers),
    /// The slot of one instance.
    Instance(Instance),
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root(buffers) => Entry::Root(*buffers).fmt(f),
            Self::Instance(instance) => instance.fmt(f),
        }
    }
}

/// How an entry gets the packets of its hook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Means {
    /// By a link of its own (`bpf_link`): XDP, and TCX since Linux 6.6.
    Link,
    /// In exchange for the program of somebody else that has them.
    Exchange,
    /// As a direct-action filter under the `clsact` queueing discipline.
    Filter,
}

/// One thing to do at one hook. Every step may be repeated after it was cut off half-way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Load the root program with an empty slot, attached to nothing.
    CreateRoot {
        /// Where.
        hook: Hook,
        /// For which packets.
        buffers: Buffers,
    },
    /// Let a new set of maps begin with maps of another, which goes on using them.
    Carry {
        /// Where.
        hook: Hook,
        /// The maps that there are.
        from: State,
        /// The set that gets them.
        to: State,
        /// Which of them, by name.
        maps: Vec<String>,
    },
    /// Hold the program of somebody else that has the packets of a hook, so that they can go back to it.
    Hold {
        /// Where.
        hook: Hook,
    },
    /// Make the program that is held one that a chain can end in, with counters.
    Include {
        /// Where.
        hook: Hook,
    },
    /// Load an instance as its spec says, reached by nobody: spliced with an empty slot and counters, to take the place of
    /// a function of dispatchers, or to run alone.
    Load {
        /// Where.
        hook: Hook,
        /// Under which name.
        instance: Instance,
        /// What it runs.
        spec: Box<MemberSpec>,
    },
    /// Start the user program of a package, unless it runs with the maps that there are now, and wait until it says that it is ready.
    Start {
        /// Which package.
        package: Box<PackageRef>,
    },
    /// Write one slot: the atomic act that changes where packets go.
    Link {
        /// Where.
        hook: Hook,
        /// The slot that is written.
        from: Slot,
        /// What it leads to afterwards; `None` ends the chain.
        to: Option<Instance>,
    },
    /// Let a chain end in the program that is held.
    LinkIncumbent {
        /// Where.
        hook: Hook,
        /// The slot that is written.
        from: Slot,
    },
    /// Build a dispatcher of loaded instances, reached by nobody.
    Dispatch {
        /// Where.
        hook: Hook,
        /// Under which number.
        serial: u64,
        /// What takes the place of its functions, in the order in which it calls them.
        members: Vec<Instance>,
    },
    /// Attach an entry, so that packets enter the chain.
    Attach {
        /// Where.
        hook: Hook,
        /// By what means.
        means: Means,
        /// Which entry.
        entry: Entry,
        /// The mode of an XDP chain; where it is left open, native and else generic.
        mode: Option<XdpMode>,
        /// Where among the programs of others; where it is left open, behind them.
        position: Option<Position>,
    },
    /// Let another entry have the packets, by one update of the link or filter.
    Turn {
        /// Where.
        hook: Hook,
        /// To which entry.
        to: Entry,
    },
    /// Remove a dispatcher that gets no packets any more. Its members stay.
    DropDispatcher {
        /// Where.
        hook: Hook,
        /// Which.
        serial: u64,
    },
    /// Remove a root that gets no packets any more.
    DropRoot {
        /// Where.
        hook: Hook,
        /// Which.
        buffers: Buffers,
    },
    /// Drop the link or filter, so that packets pass the hook untouched, or give them back to the program that is held.
    Detach {
        /// Where.
        hook: Hook,
    },
    /// Take over the counters so far and sum up by this order from now on.
    Account {
        /// Where.
        hook: Hook,
        /// The chain as packets now meet it.
        order: Vec<Instance>,
    },
    /// Wait until no packet can still be inside what was replaced (an RCU grace period).
    Settle,
    /// Unload an instance that no packet reaches; its counters are kept in the sums.
    Unload {
        /// Where.
        hook: Hook,
        /// Which.
        instance: Instance,
    },
    /// Delete the maps of a member that no instance uses any more.
    Forget {
        /// Where.
        hook: Hook,
        /// Whose maps.
        state: State,
    },
    /// Delete a shared map that nobody uses any more.
    ForgetShared {
        /// Which.
        shared: SharedMap,
    },
    /// Remove the root, the sums and everything else of the hook.
    RemoveRoot {
        /// Where.
        hook: Hook,
    },
    /// Do something with a probe, which is on no hook.
    Probe(ProbeStep),
}

impl Step {
    /// The package that it loads something of.
    pub(crate) fn loads(&self) -> Option<&PackageRef> {
        if let Self::Load { spec, .. } = self {
            Some(&spec.package)
        } else if let Self::Probe(ProbeStep::Load { spec, .. }) = self {
            Some(&spec.package)
        } else {
            None
        }
    }

    /// The hook that it is about; none where it is about no single one.
    pub fn hook(&self) -> Option<&Hook> {
        match self {
            Self::CreateRoot { hook, .. }
            | Self::Carry { hook, .. }
            | Self::Hold { hook }
            | Self::Include { hook }
            | Self::Load { hook, .. }
            | Self::Link { hook, .. }
            | Self::LinkIncumbent { hook, .. }
            | Self::Dispatch { hook, .. }
            | Self::Attach { hook, .. }
            | Self::Turn { hook, .. }
            | Self::DropDispatcher { hook, .. }
            | Self::DropRoot { hook, .. }
            | Self::Detach { hook }
            | Self::Account { hook, .. }
            | Self::Unload { hook, .. }
            | Self::Forget { hook, .. }
            | Self::RemoveRoot { hook } => Some(hook),
            Self::Start { .. } | Self::Settle | Self::ForgetShared { .. } | Self::Probe(_) => None,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CreateRoot { hook, buffers } => write!(f, "{hook}: create {}", Slot::Root(*buffers)),
            Self::Turn { hook, to } => write!(f, "{hook}: turn to {to}"),
            Self::DropRoot { hook, buffers } => write!(f, "{hook}: remove {}", Slot::Root(*buffers)),
            Self::Load { hook, instance, spec } => {
                write!(
                    f,
                    "{hook}: load {instance} = {} {} `{}`",
                    spec.package.name, spec.package.version, spec.function
                )
            }
            Self::Start { package } => {
                write!(f, "start the user program of {} {}", package.name, package.version)
            }
            Self::Carry { hook, from, to, maps } => {
                write!(f, "{hook}: carry {} of {from} over to object {}", maps.join(", "), to.object)
            }
            Self::Link { hook, from, to: Some(to) } => write!(f, "{hook}: point {from} to {to}"),
            Self::Hold { hook } => write!(f, "{hook}: hold the program that is there"),
            Self::Include { hook } => write!(f, "{hook}: make a member of the program that is there"),
            Self::LinkIncumbent { hook, from } => {
                write!(f, "{hook}: point {from} to the program that was there")
            }
            Self::Link { hook, from, to: None } => write!(f, "{hook}: end the chain at {from}"),
            Self::Dispatch { hook, serial, members } => {
                write!(f, "{hook}: build dispatcher {serial} of {}", names(members))
            }
            Self::DropDispatcher { hook, serial } => write!(f, "{hook}: remove dispatcher {serial}"),
            Self::Attach { hook, means: Means::Link, entry, .. } => write!(f, "{hook}: attach {entry}"),
            Self::Attach { hook, means: Means::Exchange, entry, .. } => {
                write!(f, "{hook}: attach {entry} in place of the program that is there")
            }
            Self::Attach { hook, means: Means::Filter, entry, .. } => {
                write!(f, "{hook}: attach {entry} as a filter")
            }
            Self::Detach { hook } => write!(f, "{hook}: detach the chain"),
            Self::Account { hook, order } => write!(f, "{hook}: count along {}", names(order)),
            Self::Settle => f.write_str("wait for packets in flight"),
            Self::Unload { hook, instance } => write!(f, "{hook}: unload {instance}"),
            Self::Forget { hook, state } => write!(f, "{hook}: delete {state}"),
            Self::ForgetShared { shared } => write!(f, "delete map `{}` of {}", shared.map, shared.extent),
            Self::RemoveRoot { hook } => write!(f, "{hook}: remove the root"),
            Self::Probe(step) => step.fmt(f),
        }
    }
}

fn names(instances: &[Instance]) -> String {
    instances.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// A step and why it is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// What to do.
    pub step: Step,
    /// Why, as the end of a sentence.
    pub reason: &'static str,
}

impl fmt::Display for Planned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.step, self.reason)
    }
}

/// The steps from what was observed to what is desired, in order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// The steps; empty when there is nothing to do.
    pub steps: Vec<Planned>,
}

impl Plan {
    /// Splits off the steps at these hooks.
    pub fn without_hooks(self, hooks: &BTreeSet<Hook>) -> (Plan, Plan) {
        let is_there = |planned: &Planned| planned.step.hook().is_some_and(|hook| hooks.contains(hook));
        let (there, mut rest): (Vec<_>, Vec<_>) = self.steps.into_iter().partition(is_there);
        if rest.iter().all(|planned| planned.step == Step::Settle) {
            // There is nothing to wait for.
            rest.clear();
        }
        (Plan { steps: rest }, Plan { steps: there })
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, planned) in self.steps.iter().enumerate() {
            writeln!(f, "{:>3}. {planned}", number + 1)?;
        }
        Ok(())
    }
}
