// SPDX-License-Identifier: Apache-2.0
//! The mechanism of a hook: chosen here, with the reason that people are told, or refused with both.

use package::{Enforcement, Mechanism, MemberName, Occupied};
use thiserror::Error;

use crate::admit::admit_splice;
use crate::{Desired, Facts, Hook, Member, Refusal, bound};

/// The most members of a dispatcher. A program has at most 256 functions (`BPF_MAX_SUBPROGS`), its main one included.
pub const MOST_DISPATCHED: usize = 250;

/// A mechanism and why it was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Choice {
    /// The mechanism.
    pub mechanism: Mechanism,
    /// Why, as the end of a sentence.
    pub reason: &'static str,
}

/// Why a dispatcher cannot run a chain.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Undispatchable {
    /// The kernel permits no program to take the place of a function of another one.
    #[error("this kernel permits no extension programs (`BPF_PROG_TYPE_EXT`)")]
    NotPermitted,
    /// A dispatcher has one function for each member.
    #[error("it has {members} members, and a dispatcher takes {MOST_DISPATCHED}")]
    TooMany {
        /// How many members the chain has.
        members: usize,
    },
    /// A program can only take the place of a function of its own type.
    #[error("the types (BTF) of `{member}` do not say that it is `int (struct {argument} *)`")]
    Type {
        /// The member.
        member: MemberName,
        /// The structure that it would have to take.
        argument: &'static str,
    },
    /// A program that took the place of a function cannot tail-call programs that did not, nor they it.
    #[error("`{member}` makes tail calls of its own, or comes in an object with programs that do")]
    TailCalls {
        /// The member.
        member: MemberName,
    },
    /// A dispatcher does not look into packets.
    #[error("`{member}` runs in `{enforcement}`, and a dispatcher knows no flows")]
    Flows {
        /// The member.
        member: MemberName,
        /// How it is to run.
        enforcement: Enforcement,
    },
}

/// Why a hook cannot run its program by itself.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NotAlone {
    /// There are more.
    #[error("{members} members are enabled")]
    Several {
        /// How many.
        members: usize,
    },
    /// Nobody is there to overrule its verdict.
    #[error("`{member}` is to run in `{enforcement}`")]
    Overruled {
        /// The member.
        member: MemberName,
        /// How it is to run.
        enforcement: Enforcement,
    },
}

/// Chooses the mechanism of a hook: that which is asked for, else the splice where it can be, else a dispatcher.
///
/// # Errors
/// When no mechanism can run these members on this kernel.
pub fn choose(hook: &Hook, desired: &Desired, facts: &Facts) -> Result<Choice, Refusal> {
    let members = desired.chains().get(hook).map(Vec::as_slice).unwrap_or_default();
    let keeps = desired.placement(hook).occupied == Occupied::Keep;
    let choice = choose_for(hook, members, (desired.mechanism(hook), usize::from(keeps)), facts)?;
    if keeps && choice.mechanism != Mechanism::Splice {
        return Err(Refusal::KeptBySplice { hook: hook.clone(), mechanism: choice.mechanism });
    }
    Ok(choice)
}

fn choose_for(
    hook: &Hook,
    members: &[Member],
    (wish, others): (Option<Mechanism>, usize),
    facts: &Facts,
) -> Result<Choice, Refusal> {
    let enabled: Vec<&Member> = members.iter().filter(|member| member.is_enabled()).collect();
    if enabled.is_empty() {
        let reason = "no member is enabled, and an empty chain lets packets pass";
        return Ok(Choice { mechanism: Mechanism::Splice, reason });
    }
    let Some(mechanism) = wish else { return first_that_can(hook, &enabled, others, facts) };
    let no_dispatcher = |why| Refusal::NoDispatcher { hook: hook.clone(), why };
    let not_alone = |why| Refusal::NotAlone { hook: hook.clone(), why };
    match mechanism {
        Mechanism::Splice => admit_splice(hook, &enabled, others, facts)?,
        Mechanism::Dispatcher => admit_dispatcher(&enabled, facts).map_err(no_dispatcher)?,
        Mechanism::Alone => admit_alone(&enabled).map_err(not_alone)?,
    }
    Ok(Choice { mechanism, reason: "the document asks for it" })
}

fn first_that_can(hook: &Hook, enabled: &[&Member], others: usize, facts: &Facts) -> Result<Choice, Refusal> {
    let Err(splice) = admit_splice(hook, enabled, others, facts) else {
        let reason = if bound::is_headed(enabled) {
            "a splice costs least, and only its first member asks the network card"
        } else {
            "a splice costs least, and the chain fits into the kernel's tail calls"
        };
        return Ok(Choice { mechanism: Mechanism::Splice, reason });
    };
    if let Err(dispatcher) = admit_dispatcher(enabled, facts) {
        return Err(Refusal::NoMechanism { splice: Box::new(splice), dispatcher });
    }
    let reason = if matches!(splice, Refusal::Throws { .. }) {
        "a member may throw exceptions, which no splice sees"
    } else if matches!(splice, Refusal::DeviceBound { .. }) {
        "a member that is not the first asks the network card"
    } else {
        "the chain is longer than the kernel's tail calls go"
    };
    Ok(Choice { mechanism: Mechanism::Dispatcher, reason })
}

fn admit_dispatcher(enabled: &[&Member], facts: &Facts) -> Result<(), Undispatchable> {
    if !facts.extensions {
        return Err(Undispatchable::NotPermitted);
    }
    if enabled.len() > MOST_DISPATCHED {
        return Err(Undispatchable::TooMany { members: enabled.len() });
    }
    enabled.iter().try_for_each(|member| {
        let (name, needs) = (|| member.spec().name.clone(), member.needs());
        if let Err(argument) = needs.extends {
            return Err(Undispatchable::Type { member: name(), argument });
        }
        if needs.tail_calls_in_object {
            return Err(Undispatchable::TailCalls { member: name() });
        }
        match member.spec().enforcement {
            Enforcement::Enforce | Enforcement::Shadow => Ok(()),
            enforcement @ Enforcement::Canary(_) => {
                Err(Undispatchable::Flows { member: name(), enforcement })
            }
        }
    })
}

fn admit_alone(enabled: &[&Member]) -> Result<(), NotAlone> {
    let [only] = enabled else { return Err(NotAlone::Several { members: enabled.len() }) };
    match only.spec().enforcement {
        Enforcement::Enforce => Ok(()),
        enforcement @ (Enforcement::Shadow | Enforcement::Canary(_)) => {
            Err(NotAlone::Overruled { member: only.spec().name.clone(), enforcement })
        }
    }
}
