// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What is known of one backend, and what it is for the tables.

use std::io;
use std::net::IpAddr;
use std::time::Instant;

use crate::check::{Check, Finding};
use crate::health::{Health, Thresholds};
use crate::maps::{
    BackendsValue, BackendsValueCheck, HealthValue, TargetsValue, TargetsValueEncapsulation,
    TargetsValueState,
};
use crate::workers::Job;

/// A backend that is configured.
#[derive(Debug)]
pub(crate) struct Backend {
    pub(crate) number: u16,
    pub(crate) settings: BackendsValue,
    pub(crate) health: Health,
    successes: u64,
    failures: u64,
    /// From where it is reached; nothing while there is no route.
    source: Option<IpAddr>,
    incarnation: u16,
    /// When it is checked next; nothing while it is.
    pub(crate) due: Option<Instant>,
    pub(crate) checks: u64,
    /// How many slots of its pool lead to it.
    pub(crate) slots: u32,
}

impl Backend {
    /// A backend as it is configured, as far as the maps know it already: one of this number at another address is another one.
    pub(crate) fn new(
        number: u16,
        settings: BackendsValue,
        target: Option<&TargetsValue>,
        known: Option<&HealthValue>,
    ) -> Self {
        let known = known.filter(|known| known.address == settings.address);
        let same = target.filter(|target| target.address == settings.address);
        let next = |target: &TargetsValue| target.incarnation.wrapping_add(1);
        Self {
            number,
            health: known.map_or(Health::Unknown, remembered),
            successes: known.map_or(0, |known| known.successes),
            failures: known.map_or(0, |known| known.failures),
            source: same.map(|target| target.source).filter(|source| !source.is_unspecified()),
            incarnation: same.map_or_else(|| target.map_or(0, next), |target| target.incarnation),
            due: Some(Instant::now()),
            checks: 0,
            slots: known.map_or(0, |known| known.slots),
            settings,
        }
    }

    pub(crate) fn job(&self) -> Job {
        let port = self.settings.check_port;
        let how = match self.settings.check {
            BackendsValueCheck::TCP => Check::Tcp(port),
            BackendsValueCheck::HTTP => Check::Http(port, self.settings.check_path.to_string()),
            _ => Check::None,
        };
        Job { number: self.number, address: self.settings.address, how }
    }

    /// Takes in what a check found. Returns why it is well or ill now, where that changed.
    pub(crate) fn learn(&mut self, finding: Finding, thresholds: Thresholds) -> Option<io::Result<()>> {
        let before = self.health;
        self.source = finding.source.ok();
        self.health = before.after(finding.result.is_ok(), thresholds);
        match finding.result {
            Ok(()) => self.successes += 1,
            Err(_) => self.failures += 1,
        }
        (before == Health::Unknown || before.is_up() != self.health.is_up()).then_some(finding.result)
    }

    /// Whether it gets flows as it is.
    pub(crate) fn is_ready(&self) -> bool {
        self.settings.weight > 0 && self.health.is_up()
    }

    /// What the program is told of it. Where no backend of a pool is well, all that have a weight are taken for it (`is_rescue`).
    pub(crate) fn target(&self, is_rescue: bool) -> TargetsValue {
        let is_tried = is_rescue && self.settings.weight > 0;
        let takes = self.source.is_some() && (self.health.is_up() || is_tried);
        TargetsValue {
            address: self.settings.address,
            source: self.source.unwrap_or_else(|| unspecified(self.settings.address)),
            state: match (takes, self.settings.weight) {
                (false, _) => TargetsValueState::CLOSED,
                (true, 0) => TargetsValueState::DRAINS,
                (true, _) => TargetsValueState::OPEN,
            },
            encapsulation: TargetsValueEncapsulation(self.settings.encapsulation.0),
            incarnation: self.incarnation,
        }
    }

    /// What people are told of it.
    pub(crate) fn told(&self) -> HealthValue {
        HealthValue {
            address: self.settings.address,
            successes: self.successes,
            failures: self.failures,
            streak: self.health.streak(),
            up: u32::from(self.health.is_up()),
            slots: self.slots,
            weight: u32::from(self.settings.weight),
        }
    }
}

fn remembered(known: &HealthValue) -> Health {
    match (known.successes + known.failures, known.up) {
        (0, _) => Health::Unknown,
        (_, 0) => Health::Down(known.streak),
        _ => Health::Up(known.streak),
    }
}

fn unspecified(like: IpAddr) -> IpAddr {
    match like {
        IpAddr::V4(_) => std::net::Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => std::net::Ipv6Addr::UNSPECIFIED.into(),
    }
}

/// What a number is for that stands for no backend.
pub(crate) fn nobody(target: &TargetsValue) -> TargetsValue {
    TargetsValue { state: TargetsValueState::NONE, ..*target }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::maps::{BackendsValueEncapsulation, Text};

    const THRESHOLDS: Thresholds = Thresholds { rise: 2, fall: 2 };

    fn settings(address: &str, weight: u16) -> BackendsValue {
        BackendsValue {
            address: address.parse().unwrap(),
            pool: 0,
            weight,
            encapsulation: BackendsValueEncapsulation::GUE,
            check: BackendsValueCheck::HTTP,
            check_port: 80,
            check_path: Text::new("/up").unwrap(),
        }
    }

    fn finding(result: io::Result<()>) -> Finding {
        Finding { source: Ok("10.0.0.9".parse().unwrap()), result }
    }

    #[test]
    fn a_backend_goes_on_from_what_the_maps_know() {
        let mut backend = Backend::new(3, settings("10.0.0.1", 1), None, None);
        assert!(backend.learn(finding(Ok(())), THRESHOLDS).is_some());
        assert!(backend.learn(finding(Err(io::ErrorKind::TimedOut.into())), THRESHOLDS).is_none());
        let (target, told) = (backend.target(false), backend.told());
        assert_eq!((target.state, target.incarnation), (TargetsValueState::OPEN, 0));
        assert_eq!((told.up, told.streak, told.failures), (1, 1, 1));
        let mut again = Backend::new(3, settings("10.0.0.1", 1), Some(&target), Some(&told));
        assert_eq!(again.health, Health::Up(1));
        assert!(again.learn(finding(Err(io::ErrorKind::TimedOut.into())), THRESHOLDS).unwrap().is_err());
        assert_eq!(again.target(false).state, TargetsValueState::CLOSED);
        assert_eq!(again.target(true).state, TargetsValueState::OPEN);
        // Another address is another backend.
        let other = Backend::new(3, settings("10.0.0.2", 1), Some(&target), Some(&told));
        assert_eq!((other.health, other.target(true).incarnation), (Health::Unknown, 1));
        assert_eq!(other.target(true).state, TargetsValueState::CLOSED, "nobody knows a route");
    }

    #[test]
    fn a_backend_of_no_weight_drains() {
        let mut backend = Backend::new(3, settings("10.0.0.1", 0), None, None);
        backend.learn(finding(Ok(())), THRESHOLDS);
        assert!(!backend.is_ready());
        assert_eq!(backend.target(false).state, TargetsValueState::DRAINS);
        assert_eq!(backend.job().how, Check::Http(80, "/up".to_owned()));
    }
}
