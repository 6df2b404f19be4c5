// SPDX-License-Identifier: Apache-2.0
//! The sums behind the counters: what each member saw, let go and passed on, over all changes of its chain.
//!
//! A packet is counted once, by the instance where it leaves the chain. What a member saw follows by adding up what
//! left at it and behind it. That sum depends on the order of the chain, so whenever the order changes the counters
//! so far are [taken over](Ledger::take_over) into totals per member, and counting goes on by the new order.
//!
//! The ledger of a hook is one value in a pinned map, written by a single update: it is never half written. Packets
//! in flight during a change are counted where they left; they are summed up by the order that was in force when
//! the counters were read.

use std::collections::BTreeMap;

use package::{HookPoint, MemberName};
use plan::Instance;
use serde::{Deserialize, Serialize};

use crate::splice::Classes;

/// Packets and bytes that left a chain with one verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Cell {
    /// How many packets.
    pub packets: u64,
    /// How many bytes, as the packets were when they left.
    pub bytes: u64,
}

/// The counters of one instance: one cell for each verdict, one more for verdicts that do not exist.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Cells(pub Vec<Cell>);

/// What is known of one member, since it joined its chain.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Totals {
    /// What left the chain at this member, by verdict; the last cell counts verdicts that do not exist.
    pub left: Cells,
    /// What went on to the next member.
    pub passed: Cell,
}

/// The counters of the instances of one hook, as read at one time.
pub type Readings = BTreeMap<Instance, Cells>;

/// The sums of one hook.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Ledger {
    totals: BTreeMap<MemberName, Totals>,
    accounts: Vec<Account>,
    order: Vec<Instance>,
}

/// How far one instance's counters are in the totals, and to whom else they matter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Account {
    instance: Instance,
    taken: Cells,
    predecessors: Vec<MemberName>,
}

impl Cells {
    /// How many cells an instance has at a hook.
    pub fn count(point: HookPoint) -> u32 {
        Classes::of(point).known.unsigned_abs() + 1
    }

    /// The verdict that the cell at `index` counts; `None` for the cell of all verdicts that do not exist.
    pub fn verdict(point: HookPoint, index: usize) -> Option<i32> {
        let classes = Classes::of(point);
        i32::try_from(index).ok().filter(|class| *class < classes.known).map(|class| class - classes.bias)
    }

    /// All cells together.
    pub fn sum(&self) -> Cell {
        self.0.iter().fold(Cell::default(), |sum, cell| sum.plus(*cell))
    }

    fn combine(&self, other: &Self, with: impl Fn(Cell, Cell) -> Cell) -> Self {
        let at = |cells: &Self, index: usize| cells.0.get(index).copied().unwrap_or_default();
        let length = self.0.len().max(other.0.len());
        Self((0..length).map(|index| with(at(self, index), at(other, index))).collect())
    }
}

impl Cell {
    fn plus(self, other: Self) -> Self {
        Self {
            packets: self.packets.wrapping_add(other.packets),
            bytes: self.bytes.wrapping_add(other.bytes),
        }
    }

    fn minus(self, other: Self) -> Self {
        Self {
            packets: self.packets.wrapping_sub(other.packets),
            bytes: self.bytes.wrapping_sub(other.bytes),
        }
    }
}

impl Totals {
    /// What the member saw: what left at it and what it passed on.
    pub fn seen(&self) -> Cell {
        self.left.sum().plus(self.passed)
    }
}

impl Ledger {
    /// The order by which counters are summed up now.
    pub fn order(&self) -> &[Instance] {
        &self.order
    }

    /// The totals of each member, up to these readings.
    pub fn totals(&self, readings: &Readings) -> BTreeMap<MemberName, Totals> {
        let mut upto = self.clone();
        upto.take(readings);
        upto.totals
    }

    /// Takes the readings over into the totals and sums up by `order` from now on.
    ///
    /// Members that have no instance any more are forgotten.
    pub fn take_over(&mut self, readings: &Readings, order: Vec<Instance>) {
        self.take(readings);
        let mut before = Vec::new();
        for instance in &order {
            self.account(instance).predecessors.clone_from(&before);
            before.push(instance.member.clone());
        }
        self.totals.retain(|member, _| before.contains(member));
        for member in before {
            self.totals.entry(member).or_default();
        }
        self.order = order;
    }

    /// Takes an instance's last readings over and closes its account.
    pub fn close(&mut self, instance: &Instance, last: Cells) {
        self.take(&BTreeMap::from([(instance.clone(), last)]));
        self.accounts.retain(|account| account.instance != *instance);
    }

    fn take(&mut self, readings: &Readings) {
        for account in &mut self.accounts {
            let Some(reading) = readings.get(&account.instance) else { continue };
            let news = reading.combine(&account.taken, Cell::minus);
            account.taken = reading.clone();
            if let Some(totals) = self.totals.get_mut(&account.instance.member) {
                totals.left = totals.left.combine(&news, Cell::plus);
            }
            let before = self.totals.iter_mut().filter(|(member, _)| account.predecessors.contains(member));
            before.for_each(|(_, totals)| totals.passed = totals.passed.plus(news.sum()));
        }
    }

    fn account(&mut self, instance: &Instance) -> &mut Account {
        let found = self.accounts.iter().position(|account| account.instance == *instance);
        let at = found.unwrap_or_else(|| {
            let taken = Cells::default();
            self.accounts.push(Account { instance: instance.clone(), taken, predecessors: Vec::new() });
            self.accounts.len() - 1
        });
        &mut self.accounts[at]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instance(member: &str, serial: u64) -> Instance {
        Instance { member: member.parse().unwrap(), serial }
    }

    fn cells(packets: u64) -> Cells {
        Cells(vec![Cell::default(), Cell { packets, bytes: packets * 60 }])
    }

    fn seen(totals: &BTreeMap<MemberName, Totals>, member: &str) -> u64 {
        totals[&member.parse::<MemberName>().unwrap()].seen().packets
    }

    #[test]
    fn what_left_behind_a_member_was_seen_by_it() {
        let (a, b) = (instance("a", 1), instance("b", 1));
        let mut ledger = Ledger::default();
        ledger.take_over(&Readings::new(), vec![a.clone(), b.clone()]);
        let totals = ledger.totals(&Readings::from([(a, cells(2)), (b, cells(5))]));
        assert_eq!((seen(&totals, "a"), seen(&totals, "b")), (7, 5));
    }

    #[test]
    fn totals_survive_a_change_and_nothing_is_counted_twice() {
        let (a, b, again) = (instance("a", 1), instance("b", 1), instance("b", 2));
        let mut ledger = Ledger::default();
        ledger.take_over(&Readings::new(), vec![a.clone(), b.clone()]);
        let before = Readings::from([(a.clone(), cells(2)), (b.clone(), cells(5))]);
        // `b` moves to the front; the old instance counts two more packets that were in flight.
        ledger.take_over(&before, vec![again.clone(), a.clone()]);
        ledger.close(&b, cells(7));
        ledger.close(&b, cells(7));
        let totals = ledger.totals(&Readings::from([(a, cells(12)), (again, cells(1))]));
        assert_eq!(seen(&totals, "a"), 2 + 7 + 10);
        assert_eq!(seen(&totals, "b"), 7 + 1 + 10);
    }

    #[test]
    fn a_member_that_left_is_forgotten() {
        let (a, b) = (instance("a", 1), instance("b", 1));
        let mut ledger = Ledger::default();
        ledger.take_over(&Readings::new(), vec![a.clone(), b]);
        ledger.take_over(&Readings::new(), vec![a]);
        assert_eq!(ledger.totals(&Readings::new()).len(), 1);
    }

    #[test]
    fn cells_are_those_of_the_verdicts() {
        assert_eq!(Cells::verdict(HookPoint::Xdp, 2), Some(2));
        assert_eq!(Cells::verdict(HookPoint::TcIngress, 0), Some(-1));
        assert_eq!(Cells::verdict(HookPoint::Xdp, 5), None);
        assert_eq!((Cells::count(HookPoint::Xdp), Cells::count(HookPoint::TcEgress)), (6, 11));
    }
}
