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
    /// Verdicts that were counted and not followed, in shadow and canary.
    #[serde(default)]
    pub shadowed: Cells,
    /// How often the member ran while it was timed, and how many nanoseconds it took, in place of bytes.
    #[serde(default)]
    pub run: Cell,
    /// What went on to the next member.
    pub passed: Cell,
}

/// The counters of one instance, as read at one time.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Reading {
    /// What left the chain here.
    pub left: Cells,
    /// Verdicts that were counted and not followed.
    pub shadowed: Cells,
    /// Runs and nanoseconds.
    pub run: Cell,
}

/// The counters of the instances of one hook, as read at one time.
pub type Readings = BTreeMap<Instance, Reading>;

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
    taken: Reading,
    predecessors: Vec<MemberName>,
}

impl Cells {
    /// How many cells there are for the verdicts of a hook, that of unknown ones included.
    pub fn count(point: HookPoint) -> usize {
        usize::try_from(Classes::of(point).count()).expect("there are a few verdicts")
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

impl Reading {
    /// Takes apart the cells of an instance as they lie in its map.
    pub fn of(point: HookPoint, mut cells: Vec<Cell>) -> Self {
        let run = cells.pop().unwrap_or_default();
        let shadowed = cells.split_off(Cells::count(point).min(cells.len()));
        Self { left: Cells(cells), shadowed: Cells(shadowed), run }
    }

    /// How many cells lie in the map of an instance.
    pub fn cells(point: HookPoint) -> u32 {
        u32::try_from(2 * Cells::count(point) + 1).expect("there are a few verdicts")
    }

    fn minus(&self, other: &Self) -> Self {
        Self {
            left: self.left.combine(&other.left, Cell::minus),
            shadowed: self.shadowed.combine(&other.shadowed, Cell::minus),
            run: self.run.minus(other.run),
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
    pub fn close(&mut self, instance: &Instance, last: Reading) {
        self.take(&BTreeMap::from([(instance.clone(), last)]));
        self.accounts.retain(|account| account.instance != *instance);
    }

    fn take(&mut self, readings: &Readings) {
        for account in &mut self.accounts {
            let Some(reading) = readings.get(&account.instance) else { continue };
            let news = reading.minus(&account.taken);
            account.taken = reading.clone();
            if let Some(totals) = self.totals.get_mut(&account.instance.member) {
                totals.left = totals.left.combine(&news.left, Cell::plus);
                totals.shadowed = totals.shadowed.combine(&news.shadowed, Cell::plus);
                totals.run = totals.run.plus(news.run);
            }
            let before = self.totals.iter_mut().filter(|(member, _)| account.predecessors.contains(member));
            before.for_each(|(_, totals)| totals.passed = totals.passed.plus(news.left.sum()));
        }
    }

    fn account(&mut self, instance: &Instance) -> &mut Account {
        let found = self.accounts.iter().position(|account| account.instance == *instance);
        let at = found.unwrap_or_else(|| {
            let taken = Reading::default();
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

    fn reading(packets: u64) -> Reading {
        let left = Cells(vec![Cell::default(), Cell { packets, bytes: packets * 60 }]);
        Reading { left, ..Reading::default() }
    }

    fn seen(totals: &BTreeMap<MemberName, Totals>, member: &str) -> u64 {
        totals[&member.parse::<MemberName>().unwrap()].seen().packets
    }

    #[test]
    fn what_left_behind_a_member_was_seen_by_it() {
        let (a, b) = (instance("a", 1), instance("b", 1));
        let mut ledger = Ledger::default();
        ledger.take_over(&Readings::new(), vec![a.clone(), b.clone()]);
        let totals = ledger.totals(&Readings::from([(a, reading(2)), (b, reading(5))]));
        assert_eq!((seen(&totals, "a"), seen(&totals, "b")), (7, 5));
    }

    #[test]
    fn totals_survive_a_change_and_nothing_is_counted_twice() {
        let (a, b, again) = (instance("a", 1), instance("b", 1), instance("b", 2));
        let mut ledger = Ledger::default();
        ledger.take_over(&Readings::new(), vec![a.clone(), b.clone()]);
        let before = Readings::from([(a.clone(), reading(2)), (b.clone(), reading(5))]);
        // `b` moves to the front; the old instance counts two more packets that were in flight.
        ledger.take_over(&before, vec![again.clone(), a.clone()]);
        ledger.close(&b, reading(7));
        ledger.close(&b, reading(7));
        let totals = ledger.totals(&Readings::from([(a, reading(12)), (again, reading(1))]));
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
        let cells = (0..13).map(|packets| Cell { packets, bytes: 0 }).collect();
        let reading = Reading::of(HookPoint::Xdp, cells);
        assert_eq!(
            (reading.left.0[5].packets, reading.shadowed.0[0].packets, reading.run.packets),
            (5, 6, 12)
        );
    }
}
