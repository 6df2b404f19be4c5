// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Maglev's tables (Eisenbud et al., NSDI 2016, section 3.4): each backend prefers slots in an order of its own, and they take turns.
//!
//! A table depends on addresses and weights of backends alone, not on their numbers or their order: balancers that have the same ones
//! have the same table.

use std::net::IpAddr;

/// How many slots a table has: a prime, so that every order reaches all of them; many more than backends, so that few flows move.
pub(crate) const SLOTS: usize = 65537;

/// A backend that gets flows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Member {
    /// What stands for it in the table; not 0.
    pub(crate) number: u16,
    /// Where it is, which decides the order of its slots.
    pub(crate) address: IpAddr,
    /// Its share, beside the weights of the others; not 0.
    pub(crate) weight: u16,
}

/// Where in its order of slots a backend is.
struct Turn {
    number: u16,
    next: usize,
    step: usize,
    weight: u64,
    /// It takes a slot when its weight times the round has come so far.
    due: u64,
}

/// The number of the backend of each slot; all 0 where there is none.
pub(crate) fn table(members: &[Member]) -> Vec<u16> {
    let mut members = members.to_vec();
    members.sort_by_key(|member| (member.address, member.number));
    let most = members.iter().map(|member| u64::from(member.weight)).max().unwrap_or_default();
    let mut turns: Vec<Turn> = members.iter().map(Turn::first).collect();
    let mut table = vec![0; SLOTS];
    let mut free = if most == 0 { 0 } else { SLOTS };
    let mut round = 0;
    while free > 0 {
        round += 1;
        for turn in &mut turns {
            if free > 0 && turn.is_due(round, most) {
                turn.take(&mut table);
                free -= 1;
            }
        }
    }
    table
}

impl Turn {
    fn first(member: &Member) -> Self {
        let (next, step) = (hash(member.address, 1), hash(member.address, 2));
        Self {
            number: member.number,
            next: below(next, SLOTS),
            step: below(step, SLOTS - 1) + 1,
            weight: u64::from(member.weight),
            due: 0,
        }
    }

    /// Whether it takes a slot in this round. Who has the greatest weight does in each.
    fn is_due(&mut self, round: u64, most: u64) -> bool {
        let is_due = round * self.weight >= self.due + most;
        if is_due {
            self.due += most;
        }
        is_due
    }

    /// Takes the first free slot in its order; there must be one.
    fn take(&mut self, table: &mut [u16]) {
        while table[self.next] != 0 {
            self.advance();
        }
        table[self.next] = self.number;
        self.advance();
    }

    fn advance(&mut self) {
        self.next = (self.next + self.step) % SLOTS;
    }
}

#[expect(clippy::cast_possible_truncation, reason = "it is less than `bound`")]
fn below(hash: u64, bound: usize) -> usize {
    (hash % bound as u64) as usize
}

/// FNV-1a of the address as IPv6, and the finish of `SplitMix64`, since FNV's lower bits are poor.
fn hash(address: IpAddr, salt: u8) -> u64 {
    let octets = match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    };
    let fnv = octets.iter().chain([&salt]).fold(0xcbf2_9ce4_8422_2325_u64, |hash, octet| {
        (hash ^ u64::from(*octet)).wrapping_mul(0x100_0000_01b3)
    });
    mixed(fnv)
}

/// The finish of `SplitMix64`.
pub(crate) fn mixed(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
#[expect(clippy::cast_precision_loss, reason = "they are small")]
mod tests {
    use std::net::Ipv4Addr;

    use proptest::prelude::*;

    use super::*;

    fn member(number: u16, weight: u16) -> Member {
        let address = Ipv4Addr::from(0x0a00_0000 + u32::from(number)).into();
        Member { number, address, weight }
    }

    fn members(weights: &[u16]) -> Vec<Member> {
        (1..).zip(weights).map(|(number, weight)| member(number, *weight)).collect()
    }

    fn slots_of(table: &[u16], number: u16) -> usize {
        table.iter().filter(|slot| **slot == number).count()
    }

    /// The part of the slots of the others that lead elsewhere when one goes.
    fn moved(before: &[u16], after: &[u16], gone: u16) -> f64 {
        let others = before.iter().zip(after).filter(|(before, _)| **before != gone);
        let (moved, all) = others
            .fold((0, 0), |(moved, all), (before, after)| (moved + usize::from(before != after), all + 1));
        moved as f64 / f64::from(all)
    }

    #[test]
    fn equal_backends_get_equal_shares() {
        for count in [1, 2, 3, 10, 100, 1023] {
            let table = table(&members(&vec![1; count]));
            let shares: Vec<usize> = (1..).take(count).map(|number| slots_of(&table, number)).collect();
            let (least, most) = (shares.iter().min().unwrap(), shares.iter().max().unwrap());
            assert!(most - least <= 1, "{count}: {least} to {most}");
            assert_eq!(shares.iter().sum::<usize>(), SLOTS);
        }
    }

    #[test]
    fn one_of_ten_takes_at_most_two_percent_of_the_others_with_it() {
        let all = members(&[1; 10]);
        let before = table(&all);
        for gone in 1..=10 {
            let rest: Vec<Member> = all.iter().copied().filter(|one| one.number != gone).collect();
            let moved = moved(&before, &table(&rest), gone);
            assert!(moved <= 0.005, "without {gone}, {:.2} % of the others moved", moved * 100.0);
        }
    }

    #[test]
    fn who_comes_back_gets_the_same_slots_again() {
        let all = members(&[3, 1, 2]);
        let mut turned = all.clone();
        turned.reverse();
        assert_eq!(table(&all), table(&turned));
        assert!(table(&[]).iter().all(|slot| *slot == 0));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]

        #[test]
        fn shares_are_as_weights(weights in prop::collection::vec(1_u16..=100, 1..40)) {
            let table = table(&members(&weights));
            let sum: f64 = weights.iter().copied().map(f64::from).sum();
            for (number, weight) in (1..).zip(&weights) {
                let (share, wanted) = (slots_of(&table, number) as f64, f64::from(*weight) / sum * SLOTS as f64);
                prop_assert!((share - wanted).abs() <= 1.0 + wanted * 0.01, "{number}: {share}, not {wanted}");
            }
        }

        #[test]
        fn of_many_backends_few_flows_move(count in 4_u16..60, gone in 1_u16..60) {
            let all = members(&vec![1; usize::from(count)]);
            let gone = 1 + gone % count;
            let rest: Vec<Member> = all.iter().copied().filter(|one| one.number != gone).collect();
            let moved = moved(&table(&all), &table(&rest), gone);
            prop_assert!(moved <= 0.025, "{:.2} % moved", moved * 100.0);
        }
    }
}
