// SPDX-License-Identifier: Apache-2.0
//! A plan as a value: steps in names and digests, each with its reason.

use std::fmt;

use crate::{Buffers, Hook, Instance, MemberSpec, ProbeStep, State};

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
            Self::Root(Buffers::One) => f.write_str("the root"),
            Self::Root(Buffers::Many) => f.write_str("the root for several buffers"),
            Self::Instance(instance) => instance.fmt(f),
        }
    }
}

/// How a root gets the packets of its hook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Means {
    /// By a link of its own (`bpf_link`): XDP, and TCX since Linux 6.6.
    Link,
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
    /// Load a spliced instance with an empty slot and its counters, reached by nobody.
    Load {
        /// Where.
        hook: Hook,
        /// Under which name.
        instance: Instance,
        /// What it runs.
        spec: Box<MemberSpec>,
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
    /// Attach the root, so that packets enter the chain.
    Attach {
        /// Where.
        hook: Hook,
        /// By what means.
        means: Means,
        /// Which root.
        buffers: Buffers,
    },
    /// Let another root have the packets, by one update of the link.
    Turn {
        /// Where.
        hook: Hook,
        /// To which root.
        to: Buffers,
    },
    /// Remove a root that gets no packets any more.
    DropRoot {
        /// Where.
        hook: Hook,
        /// Which.
        buffers: Buffers,
    },
    /// Drop the root's link or filter, so that packets pass the hook untouched.
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
    /// Remove the root, the sums and everything else of the hook.
    RemoveRoot {
        /// Where.
        hook: Hook,
    },
    /// Do something with a probe, which is on no hook.
    Probe(ProbeStep),
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CreateRoot { hook, buffers } => write!(f, "{hook}: create {}", Slot::Root(*buffers)),
            Self::Turn { hook, to } => write!(f, "{hook}: turn the link to {}", Slot::Root(*to)),
            Self::DropRoot { hook, buffers } => write!(f, "{hook}: remove {}", Slot::Root(*buffers)),
            Self::Load { hook, instance, spec } => {
                write!(
                    f,
                    "{hook}: load {instance} = {} {} `{}`",
                    spec.package.name, spec.package.version, spec.function
                )
            }
            Self::Carry { hook, from, to, maps } => {
                write!(f, "{hook}: carry {} of {from} over to object {}", maps.join(", "), to.object)
            }
            Self::Link { hook, from, to: Some(to) } => write!(f, "{hook}: point {from} to {to}"),
            Self::Link { hook, from, to: None } => write!(f, "{hook}: end the chain at {from}"),
            Self::Attach { hook, means: Means::Link, .. } => write!(f, "{hook}: attach the root"),
            Self::Attach { hook, means: Means::Filter, .. } => {
                write!(f, "{hook}: attach the root as a filter")
            }
            Self::Detach { hook } => write!(f, "{hook}: detach the root"),
            Self::Account { hook, order } => {
                let names: Vec<String> = order.iter().map(ToString::to_string).collect();
                write!(f, "{hook}: count along {}", names.join(", "))
            }
            Self::Settle => f.write_str("wait for packets in flight"),
            Self::Unload { hook, instance } => write!(f, "{hook}: unload {instance}"),
            Self::Forget { hook, state } => write!(f, "{hook}: delete {state}"),
            Self::RemoveRoot { hook } => write!(f, "{hook}: remove the root"),
            Self::Probe(step) => step.fmt(f),
        }
    }
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

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, planned) in self.steps.iter().enumerate() {
            writeln!(f, "{:>3}. {planned}", number + 1)?;
        }
        Ok(())
    }
}
