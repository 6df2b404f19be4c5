// SPDX-License-Identifier: Apache-2.0
//! Letting packets tell of themselves: members that note their verdicts are swapped in while somebody asks, and out again.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use kernel::Samples;
use package::{HookPoint, Mechanism, MemberName, ProceedSet};
use plan::{Hook, Observed, choose};
use thiserror::Error;
use wire::{PacketView, Said, SampleWish};

use super::Engine;
use crate::Rejected;

/// The hooks whose packets are sampled, and until when.
pub(super) type Sampling = BTreeMap<Hook, Timestamp>;

/// Packets cannot be sampled.
#[derive(Debug, Error)]
pub enum Unsampled {
    /// Nothing is sampled for so long.
    #[error("packets can be sampled for 1 to 3600 seconds, not for {seconds}")]
    Time {
        /// What was asked for.
        seconds: u32,
    },
    /// There is no chain.
    #[error("no chain is wanted on `{place}`")]
    NoChain {
        /// What was asked for.
        place: String,
    },
    /// Somebody else does so.
    #[error("somebody else samples the packets of `{hook}`")]
    Busy {
        /// The hook.
        hook: Hook,
    },
    /// Only the splice goes on behind the verdict of a program.
    #[error("`{hook}` has the mechanism `{mechanism}`, under which packets cannot tell who decided")]
    Mechanism {
        /// The hook.
        hook: Hook,
        /// Its mechanism.
        mechanism: Mechanism,
    },
    /// The chain takes all tail calls.
    #[error(
        "the chain on `{hook}` is too long to be sampled: a packet that is sampled takes one more tail call"
    )]
    TooLong {
        /// The hook.
        hook: Hook,
    },
}

/// One hook whose packets are sampled.
pub(crate) struct Listening {
    pub(crate) hook: Hook,
    pub(crate) samples: Samples,
    members: Vec<(MemberName, ProceedSet)>,
}

impl Unsampled {
    /// The HTTP status.
    pub(crate) fn status(&self) -> u16 {
        match self {
            Self::NoChain { .. } => 404,
            Self::Busy { .. } => 409,
            Self::Time { .. } | Self::Mechanism { .. } | Self::TooLong { .. } => 422,
        }
    }

    /// What to do about it.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::NoChain { .. } => Some("`l3af chain` shows the chains".to_owned()),
            Self::Mechanism { .. } | Self::TooLong { .. } => {
                Some("the counters of `l3af chain` tell verdicts for each member of any chain".to_owned())
            }
            Self::Time { .. } | Self::Busy { .. } => None,
        }
    }
}

impl Engine {
    /// Lets packets tell of themselves where they leave the chains that a wish names.
    ///
    /// # Errors
    /// When there is no such chain, it cannot be sampled, or the members that do so cannot be reached.
    pub(crate) fn sample(&mut self, wish: &SampleWish) -> Result<Vec<Listening>, Rejected> {
        let SampleWish { interface, hook, filter, share, seconds } = wish;
        if !(1..=3600).contains(seconds) {
            return Err(Unsampled::Time { seconds: *seconds }.into());
        }
        let (wanted, Observed { facts, interfaces, .. }) = self.look(self.in_force())?;
        let wanted = wanted.without_hooks(&self.left.yielded);
        let is_meant = |found: &&Hook| {
            let address = interfaces.get(&found.interface).copied().flatten();
            interface.contain(&found.interface, address) && hook.is_none_or(|hook| found.point == hook)
        };
        let hooks: Vec<Hook> = wanted.chains().keys().filter(is_meant).cloned().collect();
        if hooks.is_empty() || self.why_nothing_is_applied().is_some() {
            let place = hook.map_or_else(|| interface.to_string(), |hook| format!("{interface}/{hook}"));
            return Err(Unsampled::NoChain { place }.into());
        }
        let sampled = wanted.clone().sampled(&hooks);
        for hook in &hooks {
            let mechanism = choose(hook, &wanted, &facts)?.mechanism;
            let still = choose(hook, &sampled, &facts).map(|choice| choice.mechanism);
            let hook = || hook.clone();
            match (mechanism, still) {
                _ if self.sampling.contains_key(&hook()) => {
                    return Err(Unsampled::Busy { hook: hook() }.into());
                }
                (Mechanism::Splice, Ok(Mechanism::Splice)) => {}
                (Mechanism::Splice, _) => return Err(Unsampled::TooLong { hook: hook() }.into()),
                (mechanism, _) => return Err(Unsampled::Mechanism { hook: hook(), mechanism }.into()),
            }
        }
        let listening = hooks.iter().map(|hook| {
            let members = wanted.chains()[hook].iter().filter(|member| member.is_enabled());
            let members = members.map(|member| (member.spec().name.clone(), member.spec().proceed.clone()));
            let ears = self.parts.kernel.sample(hook, *filter, *share)?;
            Ok(Listening { hook: hook.clone(), samples: ears, members: members.collect() })
        });
        let listening = listening.collect::<Result<Vec<_>, Rejected>>()?;
        let end = (self.parts.clock)().checked_add(SignedDuration::from_secs((*seconds).into()));
        let end = end.unwrap_or(Timestamp::MAX);
        self.sampling.extend(hooks.iter().map(|hook| (hook.clone(), end)));
        if let Err(rejected) = self.reach() {
            // What ran before runs on.
            drop(self.end_sampling(&hooks));
            return Err(rejected);
        }
        Ok(listening)
    }

    /// Whether somebody samples what a wish asks for.
    pub(crate) fn is_sampled(&self, wish: &SampleWish) -> bool {
        let mut sampled = self.sampling.keys();
        sampled.any(|hook| {
            wish.interface.contain(&hook.interface, None) && wish.hook.is_none_or(|point| hook.point == point)
        })
    }

    /// Swaps the members of these hooks out that note their verdicts.
    ///
    /// # Errors
    /// When those that run without cannot be reached; the next comparison tries again.
    pub(crate) fn end_sampling(&mut self, hooks: &[Hook]) -> Result<(), Rejected> {
        let before = self.sampling.len();
        self.sampling.retain(|hook, _| !hooks.contains(hook));
        if self.sampling.len() < before { self.reach_profile().map(drop) } else { Ok(()) }
    }

    /// The hooks whose sampling should be over.
    pub(super) fn sampled_too_long(&self) -> Vec<Hook> {
        let now = (self.parts.clock)();
        self.sampling.iter().filter(|(_, end)| **end <= now).map(|(hook, _)| hook.clone()).collect()
    }
}

impl Listening {
    /// Tells of a packet; none where it is not of this chain.
    pub(crate) fn view(&self, sample: &kernel::Sample, at: Timestamp) -> Option<PacketView> {
        let point = self.hook.point;
        let last = sample.verdicts.len().checked_sub(1)?;
        let mut passed = Vec::new();
        let mut decided = None;
        for (place, verdict) in sample.verdicts.iter().enumerate() {
            let (member, proceed) = self.members.get(place)?;
            let goes_on = proceed.contains(*verdict);
            let overruled = !goes_on && (place < last || is_overruled(point, *verdict, sample.returned));
            let said = Said { member: member.clone(), verdict: name(point, *verdict), overruled };
            if goes_on || overruled { passed.push(said) } else { decided = Some(said) }
        }
        Some(PacketView {
            at: at.to_string(),
            hook: self.hook.to_string(),
            passed,
            decided,
            flow: package::Flow::read(&sample.packet),
            length: sample.length,
            bytes: wire::base64(&sample.packet),
        })
    }
}

/// Whether the last member said something else than what the hook was told: that the packet passes.
fn is_overruled(point: HookPoint, verdict: i32, returned: i32) -> bool {
    returned != verdict && returned == kernel::pass(point)
}

fn name(point: HookPoint, verdict: i32) -> String {
    point.verdict(verdict).map_or_else(|| verdict.to_string(), |verdict| verdict.name().to_owned())
}
