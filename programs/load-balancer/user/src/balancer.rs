// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! One balancer: when its backends are checked, and what comes of that. All that it knows is in maps, so that it goes on where it was
//! after whatever ended it.

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, Write};
use std::thread;
use std::time::{Duration, Instant};

use crate::backend::Backend;
use crate::check::Finding;
use crate::claim::{Claim, Halted};
use crate::health::{Health, Thresholds, pause};
use crate::maps::{self, BackendsValue, HealthValue, Holds, Map, Table};
use crate::publish::{self, REST};
use crate::workers::{Job, Workers};

/// How often to look whether people wrote to the map of backends.
const LOOK: Duration = Duration::from_secs(1);
/// For so long after it took the word, a balancer looks whether all is as it wrote it: a write of the process before may have been
/// on its way.
const CHANGE: Duration = Duration::from_secs(10);
/// Backends that change within so little are one change.
const GATHER: Duration = Duration::from_millis(20);

/// The maps of a balancer.
pub(crate) struct Maps {
    pub(crate) backends: maps::Backends,
    pub(crate) targets: maps::Targets,
    pub(crate) tables: maps::Tables,
    pub(crate) pools: maps::Pools,
    pub(crate) health: maps::Health,
    pub(crate) claim: Claim,
}

impl Maps {
    /// Writes under a key.
    ///
    /// # Errors
    /// When another process has the word, or the map cannot be written.
    pub(crate) fn write<M: Holds>(
        &self,
        to: &Map<M, Table>,
        key: &M::Key,
        value: &M::Value,
    ) -> Result<(), Halted> {
        self.claim.check()?;
        Ok(to.update(key, value)?)
    }
}

/// A balancer that checks its backends.
pub(crate) struct Balancer {
    maps: Maps,
    backends: BTreeMap<u16, Backend>,
    workers: Workers,
    thresholds: Thresholds,
    interval: Duration,
    /// By chance: balancers that begin at the same time are not to check at the same times.
    seed: u64,
    /// How long a slot counts as changed, in seconds.
    window_s: u32,
    /// When the map of backends is looked at next.
    look: Instant,
    /// When the tables are written anew, if they are to be.
    write: Option<Instant>,
    /// Until when all is looked at again and again.
    insists: Instant,
}

impl Balancer {
    /// Goes on from what is in the maps.
    ///
    /// # Errors
    /// When they cannot be read.
    pub(crate) fn new(maps: Maps, constants: &maps::RodataConstants) -> io::Result<Self> {
        let milliseconds = |number: u32| Duration::from_millis(number.into());
        let timeout = milliseconds(constants.check_timeout_ms);
        let mut balancer = Self {
            maps,
            backends: BTreeMap::new(),
            workers: Workers::new(timeout),
            thresholds: Thresholds { rise: constants.check_rise, fall: constants.check_fall },
            interval: milliseconds(constants.check_interval_ms),
            seed: RandomState::new().hash_one(()),
            window_s: constants.connection_affinity,
            look: Instant::now(),
            write: None,
            insists: Instant::now(),
        };
        balancer.configure()?;
        balancer.settle(Instant::now() + timeout + GATHER)?;
        match balancer.take_over() {
            Err(Halted::Maps(error)) => Err(error),
            // Who began after it wrote tables; it learns that again when it runs.
            Err(Halted::Superseded) | Ok(()) => Ok(balancer),
        }
    }

    /// Waits until each backend was checked once, or the time is over. Nothing is written: another process may have the word.
    fn settle(&mut self, until: Instant) -> io::Result<()> {
        let is_unknown = |backend: &Backend| backend.health == Health::Unknown;
        while self.backends.values().any(is_unknown) && Instant::now() < until {
            self.turn(until)?;
        }
        Ok(())
    }

    /// Takes the word, and writes the first tables.
    fn take_over(&mut self) -> Result<(), Halted> {
        self.maps.claim.take()?;
        self.insists = Instant::now() + CHANGE;
        // What the process before began to write is there then, if that is not late.
        thread::sleep(REST);
        self.write()
    }

    /// Checks, and writes tables where something changed, until another process has the word. Returns the maps then.
    ///
    /// # Errors
    /// When maps cannot be read or written.
    pub(crate) fn run(mut self) -> io::Result<Maps> {
        match self.balance() {
            Halted::Superseded => Ok(self.maps),
            Halted::Maps(error) => Err(error),
        }
    }

    fn balance(&mut self) -> Halted {
        loop {
            if let Err(halted) = self.step() {
                return halted;
            }
        }
    }

    fn step(&mut self) -> Result<(), Halted> {
        let until = self.write.map_or(self.look, |write| write.min(self.look));
        if let Some(number) = self.turn(until)? {
            self.tell(number)?;
        }
        let now = Instant::now();
        if self.look <= now {
            self.look = now + LOOK;
            self.look()?;
        }
        if self.write.is_some_and(|write| write <= now) {
            self.write()?;
        }
        Ok(())
    }

    /// Begins the checks that are due, and takes in one finding, if there is one until then. Returns whose it is.
    fn turn(&mut self, until: Instant) -> io::Result<Option<u16>> {
        let now = Instant::now();
        let mut next = until;
        for backend in self.backends.values_mut() {
            match backend.due {
                Some(due) if due <= now => {
                    backend.due = None;
                    self.workers.begin(backend.job())?;
                }
                Some(due) => next = next.min(due),
                None => {}
            }
        }
        let found = self.workers.wait(next.saturating_duration_since(Instant::now()))?;
        Ok(found.and_then(|(job, finding)| self.learn(&job, finding)))
    }

    /// Takes in what a check found, unless its backend is another one by now.
    fn learn(&mut self, job: &Job, finding: Finding) -> Option<u16> {
        let backend = self.backends.get_mut(&job.number).filter(|backend| backend.job() == *job)?;
        backend.checks += 1;
        let pause = pause(self.interval, self.seed ^ u64::from(job.number), backend.checks);
        backend.due = Some(Instant::now() + pause);
        let target = backend.target(false);
        if let Some(result) = backend.learn(finding, self.thresholds) {
            match result {
                Ok(()) => say(&format!("backend {} ({}) is well", job.number, job.address)),
                Err(why) => say(&format!("backend {} ({}) is ill: {why}", job.number, job.address)),
            }
        }
        if backend.target(false) != target {
            self.write.get_or_insert(Instant::now() + GATHER);
        }
        Some(job.number)
    }

    /// Tells what is known of the health of a backend.
    fn tell(&self, number: u16) -> Result<(), Halted> {
        let Some(backend) = self.backends.get(&number) else { return Ok(()) };
        self.maps.write(&self.maps.health, &number.into(), &backend.told())
    }

    /// Sees whether somebody else wrote to maps.
    fn look(&mut self) -> Result<(), Halted> {
        self.maps.claim.beat()?;
        self.configure()?;
        if Instant::now() < self.insists {
            self.write.get_or_insert_with(Instant::now);
        }
        Ok(())
    }

    /// Takes in what is configured, where that is new.
    fn configure(&mut self) -> io::Result<()> {
        let configured: BTreeMap<u16, BackendsValue> =
            self.maps.backends.entries()?.into_iter().filter_map(known).collect();
        let gone = self.backends.extract_if(.., |number, _| !configured.contains_key(number));
        if gone.count() > 0 {
            self.write.get_or_insert_with(Instant::now);
        }
        for (number, settings) in configured {
            let same = self.backends.get(&number).is_some_and(|backend| backend.settings == settings);
            if !same {
                let target = self.maps.targets.lookup(&number.into())?;
                let known = self.known(number)?;
                let backend = Backend::new(number, settings, target.as_ref(), known.as_ref());
                self.backends.insert(number, backend);
                self.write.get_or_insert_with(Instant::now);
            }
        }
        Ok(())
    }

    fn known(&self, number: u16) -> io::Result<Option<HealthValue>> {
        self.maps.health.lookup(&number.into())
    }

    fn write(&mut self) -> Result<(), Halted> {
        self.write = None;
        publish::publish(&self.maps, &mut self.backends, self.window_s)
    }
}

/// A backend whose number can be one.
fn known((number, settings): (u32, BackendsValue)) -> Option<(u16, BackendsValue)> {
    Some((u16::try_from(number).ok().filter(|number| *number > 0)?, settings))
}

/// Tells people something. That nobody listens is no reason to end.
pub(crate) fn say(line: &str) {
    drop(writeln!(io::stdout().lock(), "{line}"));
}
