// SPDX-License-Identifier: Apache-2.0
//! What goes through chains in a second: the difference of two readings of their counters.
//!
//! A counter that became smaller began anew between the readings, so what it shows now came since. Of a member that was not there
//! before nothing is said until the next reading: what it had counted may be of another day.

use std::collections::BTreeMap;
use std::time::Duration;

use package::{HookPoint, MemberName};
use serde::{Deserialize, Serialize};

use crate::{ChainView, Count, MemberView};

/// Packets and bytes in a second.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Rate {
    /// Packets in a second.
    pub packets: f64,
    /// Bytes in a second.
    pub bytes: f64,
}

/// What goes through a chain.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChainRates {
    /// Its hook, `<interface>/<hook>`.
    pub hook: String,
    /// Whether packets enter it.
    pub attached: bool,
    /// What enters it.
    pub entered: Rate,
    /// What it drops.
    pub dropped: Rate,
    /// Its members in the order in which packets meet them.
    pub members: Vec<MemberRates>,
}

/// What goes through a member of a chain.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MemberRates {
    /// Its name.
    pub name: MemberName,
    /// The publisher and the name of its package.
    pub package: String,
    /// The version of its package.
    pub version: String,
    /// For which packets its verdict counts.
    pub enforcement: String,
    /// What reaches it.
    pub seen: Rate,
    /// What goes on to the next one.
    pub passed: Rate,
    /// What leaves the chain at it, by verdict.
    pub left: BTreeMap<String, Rate>,
    /// What of that is dropped.
    pub dropped: Rate,
    /// Verdicts that are counted and not followed.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub shadowed: BTreeMap<String, Rate>,
    /// How long it took for a packet, if it was profiled meanwhile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nanoseconds: Option<f64>,
}

/// What goes through each chain, from two readings that are so far apart.
pub fn rates(before: &[ChainView], after: &[ChainView], apart: Duration) -> Vec<ChainRates> {
    let of_chain = |chain: &ChainView| {
        let old = before.iter().find(|old| (&old.interface, old.hook) == (&chain.interface, chain.hook));
        let old_member = |name: &MemberName| old?.members.iter().find(|member| member.name == *name);
        let members = chain.members.iter();
        let members: Vec<MemberRates> =
            members.map(|member| of_member(chain.hook, old_member(&member.name), member, apart)).collect();
        ChainRates {
            hook: format!("{}/{}", chain.interface, chain.hook),
            attached: chain.attached,
            entered: members.first().map(|first| first.seen).unwrap_or_default(),
            dropped: members.iter().map(|member| member.dropped).sum(),
            members,
        }
    };
    after.iter().map(of_chain).collect()
}

fn of_member(
    point: HookPoint,
    before: Option<&MemberView>,
    after: &MemberView,
    apart: Duration,
) -> MemberRates {
    // One that was not there before is compared with itself.
    let before = before.unwrap_or(after);
    let each =
        |before: &BTreeMap<String, Count>, after: &BTreeMap<String, Count>| -> BTreeMap<String, Rate> {
            let old = |verdict| before.get(verdict).copied().unwrap_or_default();
            let rates =
                after.iter().map(|(verdict, count)| (verdict.clone(), Rate::of(old(verdict), *count, apart)));
            rates.filter(|(_, rate)| rate.packets > 0.0).collect()
        };
    let left = each(&before.left, &after.left);
    let drops = left.iter().filter(|(verdict, _)| drops(point, verdict));
    let runs = since(before.run.runs, after.run.runs);
    let time = since(before.run.nanoseconds, after.run.nanoseconds);
    MemberRates {
        name: after.name.clone(),
        package: after.package.clone(),
        version: after.version.clone(),
        enforcement: after.enforcement.clone(),
        seen: Rate::of(before.seen, after.seen, apart),
        passed: Rate::of(before.passed, after.passed, apart),
        dropped: drops.map(|(_, rate)| *rate).sum(),
        left,
        shadowed: each(&before.shadowed, &after.shadowed),
        nanoseconds: (runs > 0).then(|| number(time) / number(runs)),
    }
}

/// Whether a verdict is the end of a packet.
fn drops(point: HookPoint, verdict: &str) -> bool {
    match point {
        // What is no verdict the kernel drops as it does `aborted`.
        HookPoint::Xdp => ["drop", "aborted", "other"].contains(&verdict),
        HookPoint::TcIngress | HookPoint::TcEgress => verdict == "shot",
    }
}

/// What was counted since an earlier reading.
fn since(before: u64, after: u64) -> u64 {
    after.checked_sub(before).unwrap_or(after)
}

#[expect(clippy::cast_precision_loss, reason = "a rate needs no more digits than it has")]
fn number(count: u64) -> f64 {
    count as f64
}

/// A number in at most five letters.
pub fn short_number(number: f64) -> String {
    let units = [(1e9, "G"), (1e6, "M"), (1e3, "k")];
    match units.into_iter().find(|(size, _)| number >= *size) {
        Some((size, unit)) if number / size < 100.0 => format!("{:.1}{unit}", number / size),
        Some((size, unit)) => format!("{:.0}{unit}", number / size),
        None if number <= 0.0 => "0".to_owned(),
        None if number < 10.0 => format!("{number:.1}"),
        None => format!("{number:.0}"),
    }
}

impl Rate {
    fn of(before: Count, after: Count, apart: Duration) -> Self {
        let a_second = |before, after| match apart.as_secs_f64() {
            seconds if seconds > 0.0 => number(since(before, after)) / seconds,
            _ => 0.0,
        };
        // Where one of both began anew, the other did as well.
        let before = if after.packets < before.packets { Count::default() } else { before };
        Self { packets: a_second(before.packets, after.packets), bytes: a_second(before.bytes, after.bytes) }
    }

    /// How much of a whole it is, of its packets, from 0 to 1; none where the whole is nothing.
    #[must_use]
    pub fn share_of(self, whole: Self) -> Option<f64> {
        (whole.packets > 0.0).then(|| (self.packets / whole.packets).min(1.0))
    }
}

impl std::iter::Sum for Rate {
    fn sum<I: Iterator<Item = Self>>(rates: I) -> Self {
        rates.fold(Self::default(), |sum, rate| Self {
            packets: sum.packets + rate.packets,
            bytes: sum.bytes + rate.bytes,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn member(seen: Count, left: &[(&str, Count)]) -> MemberView {
        let left: BTreeMap<&str, Count> = left.iter().copied().collect();
        let text = serde_json::json!({
            "name": "sanity", "instance": "sanity#1", "package": "l3af/sanity", "version": "0.1.0", "program": "sanity",
            "object_digest": "", "proceed": ["pass"], "enforcement": "enforce", "config": {}, "seen": seen,
            "left": left, "passed": { "packets": 0, "bytes": 0 },
        });
        serde_json::from_value(text).unwrap()
    }

    fn chain(members: &[MemberView]) -> Vec<ChainView> {
        let text =
            serde_json::json!({ "interface": "eth0", "hook": "xdp", "attached": true, "members": members });
        vec![serde_json::from_value(text).unwrap()]
    }

    fn count(packets: u64) -> Count {
        Count { packets, bytes: packets * 100 }
    }

    fn seen(before: Count, after: Count, apart: Duration) -> Rate {
        let reading = |count| chain(&[member(count, &[])]);
        rates(&reading(before), &reading(after), apart)[0].members[0].seen
    }

    #[test]
    fn what_is_dropped_is_told_apart_from_what_leaves() {
        let before = chain(&[member(count(10), &[("drop", count(1))])]);
        let left = [("drop", count(5)), ("aborted", count(2)), ("tx", count(2)), ("pass", count(1))];
        let after = chain(&[member(count(20), &left)]);
        let found = &rates(&before, &after, Duration::from_secs(2))[0];
        assert_eq!(found.entered, Rate { packets: 5.0, bytes: 500.0 });
        assert_eq!(found.dropped, Rate { packets: 3.0, bytes: 300.0 });
        assert_eq!(found.members[0].left["tx"].share_of(found.entered), Some(0.2));
        assert_eq!(found.entered.share_of(Rate::default()), None);
    }

    #[test]
    fn of_who_was_not_there_before_nothing_is_said() {
        let found = rates(&[], &chain(&[member(count(1000), &[])]), Duration::from_secs(1));
        assert_eq!(found[0].entered, Rate::default());
    }

    #[test]
    fn the_time_for_a_packet_is_that_of_the_runs_in_between() {
        let reading = |runs, nanoseconds| {
            let mut member = member(count(1), &[]);
            member.run = crate::RunTime { runs, nanoseconds };
            chain(&[member])
        };
        let time = |before: Vec<_>, after: Vec<_>| {
            rates(&before, &after, Duration::from_secs(1))[0].members[0].nanoseconds
        };
        assert_eq!(time(reading(10, 1000), reading(12, 1060)), Some(30.0));
        assert_eq!(time(reading(10, 1000), reading(10, 1000)), None);
    }

    #[test]
    fn numbers_are_short() {
        let shown = [0.0, 0.5, 42.0, 999.0, 1000.0, 123_456.0, 1e7, 2.5e10].map(short_number);
        assert_eq!(shown, ["0", "0.5", "42", "999", "1.0k", "123k", "10.0M", "25.0G"]);
    }

    proptest! {
        #[test]
        fn no_rate_is_below_nothing_or_above_what_was_counted(
            before: [u32; 2], after: [u32; 2], milliseconds in 0_u64..100_000,
        ) {
            let count = |[packets, bytes]: [u32; 2]| Count { packets: packets.into(), bytes: bytes.into() };
            let (before, after) = (count(before), count(after));
            let apart = Duration::from_millis(milliseconds);
            let rate = seen(before, after, apart);
            for (rate, most) in [(rate.packets, after.packets), (rate.bytes, after.bytes)] {
                prop_assert!(rate.is_finite() && rate >= 0.0);
                prop_assert!(rate * apart.as_secs_f64() <= number(most) + 1e-3);
            }
        }

        #[test]
        fn what_rises_evenly_has_the_same_rate_however_long_one_looks(start: u32, each in 0_u64..100_000, seconds in 1_u64..100) {
            let start = u64::from(start);
            let rate = seen(count(start), count(start + each * seconds), Duration::from_secs(seconds));
            prop_assert!((rate.packets - number(each)).abs() < 1e-6);
        }

        #[test]
        fn what_began_anew_counts_from_nothing(before in 1_u64..1_000_000, share in 0.0_f64..1.0) {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is less than the number")]
            let after = (number(before) * share) as u64;
            prop_assume!(after < before);
            let rate = seen(count(before), count(after), Duration::from_secs(1));
            prop_assert_eq!(rate, Rate { packets: number(after), bytes: number(after * 100) });
        }
    }
}
