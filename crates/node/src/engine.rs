// SPDX-License-Identifier: Apache-2.0
//! The one owner of the kernel: accepts desired states, reaches them, keeps them, and tells what it sees.

mod accept;
mod bad_map_call;
mod calm;
mod drift;
mod health;
mod history;
mod interfaces;
mod l3afd;
mod maps;
mod permit;
mod room;
mod sampling;
mod tally;
mod tell;
mod testing;
mod watch;

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kernel::{Halted, Kernel, Refused};
use package::Platform;
use plan::{Desired, Observed, PackageRef, Plan, Refusal, choose, reconcile};
use tokio::sync::watch::Sender;
use trust::Policy;
use wire::{Document, Planned, PlannedChain, PlannedStep, Problem, Profile};

use crate::events::Events;
use crate::evidence::EvidenceFile;
use crate::faults::Faults;
use crate::fetch::{Fetched, is_remote};
use crate::generation::{Generation, Generations};
use crate::l3afd::{Exposed, Places};
use crate::memory::MemoryFile;
use crate::resolve::{Demand, Resolved, Resolver};
use crate::store::Store;
use crate::user::UserPrograms;
use crate::waiting::{Waiting, leave_out};
use crate::{Config, Rejected};

pub use self::accept::Conditions;
pub use self::bad_map_call::BadMapCall;
use self::calm::Calm;
pub(crate) use self::drift::Drift;
use self::drift::Left;
use self::interfaces::Interfaces;
pub(crate) use self::maps::{HERE, Held, Reader, Readers};
pub(crate) use self::sampling::Listening;
use self::sampling::Sampling;
pub use self::sampling::Unsampled;
pub(crate) use self::tally::Tally;
pub(crate) use self::testing::document_of;
use self::watch::{Reverified, TrustWatch};

/// What an engine is made of.
pub struct Parts {
    /// The kernel it owns.
    pub kernel: Box<dyn Kernel + Send>,
    /// Where it keeps its files.
    pub config: Config,
    /// What packages must be built for.
    pub machine: Platform,
    /// Where the time comes from.
    pub clock: fn() -> jiff::Timestamp,
}

/// How long a change waits for all user programs together that are to be ready before packets come: whoever asks meanwhile waits too, and
/// so does the watchdog of systemd.
const LONGEST_WAIT: Duration = Duration::from_secs(45);

/// A plan to a new desired state, and what it leaves out.
struct Way {
    plan: Plan,
    waiting: Waiting,
}

/// The daemon without its sockets.
pub struct Engine {
    parts: Parts,
    generations: Generations,
    store: Store,
    memory: MemoryFile,
    evidence: EvidenceFile,
    trust: TrustWatch,
    user_programs: UserPrograms,
    /// Where things of l3afd v1 are, and those that were made.
    places: Places,
    exposed: Exposed,
    /// What is wanted now. None until a generation was taken up or accepted: then nothing is known of what runs.
    desired: Option<Desired>,
    /// What of it waits for something that does not exist.
    waiting: Waiting,
    problem: Option<Problem>,
    /// Why the document of the configured file is not accepted.
    file_problem: Option<Problem>,
    /// Until when run times are measured.
    profiled_until: Option<jiff::Timestamp>,
    /// Whose packets are sampled, and until when.
    sampling: Sampling,
    /// Told when another generation is in force.
    in_force: Sender<u64>,
    events: Arc<Events>,
    /// What was done so far.
    tally: Tally,
    /// The maps whose events somebody reads.
    readers: Readers,
    /// What the maps of packages are.
    interfaces: Interfaces,
    /// What others changed that is left so, until the next document.
    left: Left,
    /// What a comparison that found nothing to do began with.
    calm: Option<Calm>,
    /// Whether all checks of the generation on trial passed when they were carried out last.
    checks_pass: bool,
    /// Whether what a l3afd v1 attached runs until a document takes its place.
    inherits: bool,
    /// Whether the daemon is gone, and with it whoever would mind user programs.
    is_stand_in: bool,
}

impl Engine {
    /// An engine that has not looked at anything yet.
    pub fn new(parts: Parts) -> Self {
        Self {
            generations: Generations::new(&parts.config.state),
            store: Store::new(&parts.config.state),
            memory: MemoryFile::new(&parts.config.state),
            evidence: EvidenceFile::new(&parts.config.state),
            trust: TrustWatch::default(),
            user_programs: UserPrograms::new(&parts.config),
            places: Places::of(parts.config.l3afd.as_ref(), &parts.config.state),
            exposed: Exposed::new(&parts.config.state),
            desired: None,
            waiting: Waiting::default(),
            problem: None,
            file_problem: None,
            profiled_until: None,
            sampling: Sampling::default(),
            in_force: Sender::default(),
            events: Arc::default(),
            tally: Tally::default(),
            readers: Readers::default(),
            interfaces: Interfaces::default(),
            left: Left::default(),
            calm: None,
            checks_pass: false,
            inherits: false,
            is_stand_in: false,
            parts,
        }
    }

    /// Takes up the generation in force: verifies its packages again from the store and adopts what already runs.
    ///
    /// # Errors
    /// When it cannot be reached; what runs is left as it is.
    pub fn resume(&mut self) -> Result<(), Rejected> {
        self.settle_trial()?;
        let drift = self.tick()?;
        self.note_drift(&drift, &[]);
        Ok(())
    }

    /// Verifies what runs again when that is due, compares the kernel with what is wanted, and repairs what differs.
    /// Returns what of that others were to blame for.
    ///
    /// # Errors
    /// When it cannot be verified or repaired. What cannot be verified for want of a policy runs on, and is repaired.
    pub(crate) fn tick(&mut self) -> Result<Drift, Rejected> {
        if let Some(why) = self.why_nothing_is_applied() {
            self.end_trial_on_paper(why)?;
            return self.note_mode().map(|()| Drift::default());
        }
        if let Err(rejected) = self.end_trial_in_time() {
            self.note_problem(Some(rejected.problem()));
            return Err(rejected);
        }
        let is_taken_up = self.desired.is_some();
        let verified = self.verify_again();
        let is_wanted_as_before = is_taken_up && !matches!(verified, Ok(Reverified::Otherwise));
        let glance = self.glance();
        if is_wanted_as_before && matches!(verified, Ok(Reverified::NotDue)) && self.is_calm(glance) {
            self.user_programs.look_after();
            return Ok(Drift::default());
        }
        let repaired = self.repair(is_wanted_as_before);
        let found_nothing = repaired.as_ref().is_ok_and(Drift::is_empty);
        self.note_calm(glance.filter(|_| found_nothing));
        let result = verified.and_then(|verified| {
            let drift = repaired?;
            if verified != Reverified::NotDue {
                self.remember(&self.in_force())?;
            }
            if verified != Reverified::Otherwise {
                return Ok(drift.seen_at((self.parts.clock)()));
            }
            let plan = drift.into_repaired();
            tracing::info!(
                steps = plan.steps.len(),
                "what is trusted changed, and with it what runs:\n{plan}"
            );
            Ok(Drift::default())
        });
        self.note_problem(result.as_ref().err().map(Rejected::problem));
        result
    }

    fn why_nothing_is_applied(&self) -> Option<&'static str> {
        match (self.parts.config.safe, self.generations.is_detached()) {
            (true, _) => Some("the daemon was started in safe mode"),
            (false, true) => Some("everything was taken off by hand"),
            (false, false) => None,
        }
    }

    /// Ends what does not run without the daemon.
    pub fn end(&mut self) {
        self.user_programs.end();
    }

    /// The steps that a document would take. Nothing is changed.
    ///
    /// # Errors
    /// When the document would be refused before its first step.
    pub fn plan(&mut self, document: &Document, fetched: &Fetched) -> Result<Planned, Rejected> {
        self.settle_checks(document)?;
        let policy = self.policy_for(document, Demand::New)?;
        let resolved = self.resolve(document, &policy, Demand::New, fetched)?;
        let (desired, observed) = self.look(resolved.desired)?;
        let Way { plan, waiting } = self.way_from(&observed, &desired, document)?;
        let chosen = desired.chains().keys().map(|hook| {
            let choice = choose(hook, &desired, &observed.facts)?;
            let (hook, reason) = (hook.to_string(), choice.reason.to_owned());
            Ok(PlannedChain { hook, mechanism: choice.mechanism, reason })
        });
        let chains = chosen.collect::<Result<_, Refusal>>()?;
        Ok(Planned { chains, waiting_for: waiting.texts(), ..planned(&plan) })
    }

    /// Measures the run time of all members for a while, by instances that are swapped in and out again.
    ///
    /// # Errors
    /// When they cannot be reached.
    pub fn profile(&mut self, profile: Profile) -> Result<Planned, Rejected> {
        let Profile { seconds } = profile;
        if !(1..=3600).contains(&seconds) {
            return Err(Rejected::ProfileTime { seconds });
        }
        let end = (self.parts.clock)().checked_add(jiff::SignedDuration::from_secs(i64::from(seconds)));
        self.profiled_until = end.ok();
        self.reach_profile()
    }

    /// Ends measuring.
    ///
    /// # Errors
    /// When the members that run without cannot be reached; the next comparison tries again.
    pub fn end_profile(&mut self) -> Result<Planned, Rejected> {
        self.profiled_until = None;
        self.reach_profile()
    }

    /// What references into registries stand for in the generation in force.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn fetched_in_force(&self) -> Result<Fetched, Rejected> {
        let packages = self.current()?.map(|generation| generation.packages).unwrap_or_default();
        Ok(Fetched(packages.into_iter().filter(|(reference, _)| is_remote(reference)).collect()))
    }

    /// The way to a new desired state that was looked at: what waits already may go on waiting, and nothing new begins with that.
    fn way_from(&self, observed: &Observed, desired: &Desired, document: &Document) -> Result<Way, Rejected> {
        let (present, waiting) = leave_out(desired.clone(), observed);
        let waits_already = waiting.hooks.iter().all(|hook| self.waiting.hooks.contains(hook))
            && waiting.probes.keys().all(|probe| self.waiting.probes.contains_key(probe));
        let plan = reconcile(if waits_already { &present } else { desired }, observed);
        let plan = plan.map_err(|refusals| Faults::of_plan(refusals, Some(document)))?;
        Ok(Way { plan, waiting })
    }

    /// Reads the kernel, and looks for what the probes that are not attached would attach to. What is desired is spread over
    /// the interfaces that exist.
    fn look(&self, desired: Desired) -> Result<(Desired, Observed), Rejected> {
        let mut observed = self.observe(&desired)?;
        for (name, probe) in desired.probes().iter().filter(|(_, probe)| probe.is_enabled()) {
            if !observed.probes.is_attached(probe.spec())
                && let Some(missing) = self.parts.kernel.missing(&probe.spec().attach)
            {
                observed.probes.absent.insert(name.clone(), missing);
            }
        }
        Ok((desired.spread_over(&observed), observed))
    }

    fn reach_profile(&mut self) -> Result<Planned, Rejected> {
        if self.generations.is_detached() || self.desired.is_none() {
            return Ok(planned(&Plan::default()));
        }
        let reached = self.reach();
        if reached.is_err() {
            // A member that cannot be timed runs on without.
            self.profiled_until = None;
        }
        Ok(planned(&reached?))
    }

    /// Compares, repairs, and ends measuring when its time has come.
    fn repair(&mut self, is_wanted_as_before: bool) -> Result<Drift, Rejected> {
        if self.desired.is_none() {
            return Ok(Drift::default());
        }
        if self.profiled_until.is_some_and(|end| (self.parts.clock)() >= end) {
            tracing::info!("run times are no longer measured");
            return self.end_profile().map(|_| Drift::default());
        }
        let over = self.sampled_too_long();
        if !over.is_empty() {
            return self.end_sampling(&over).map(|()| Drift::default());
        }
        if is_wanted_as_before { self.reach_or_leave() } else { self.reach().map(Drift::repaired) }
    }

    /// What is wanted of a desired state now: without what is left to others, while it is measured with timing, and while packets are
    /// sampled with notes.
    fn wanted_of(&self, desired: Desired) -> Desired {
        let desired = desired.without_hooks(&self.left.yielded).sampled(self.sampling.keys());
        match self.profiled_until {
            Some(end) if (self.parts.clock)() < end => desired.timed(),
            Some(_) | None => desired,
        }
    }

    /// Plans from what is observed now to what is wanted, leaving out what has no interface, and carries it out.
    fn reach(&mut self) -> Result<Plan, Rejected> {
        let (named, observed) = self.look(self.in_force())?;
        let (desired, waiting) = leave_out(self.wanted_of(named.clone()), &observed);
        self.waiting = waiting;
        let plan = reconcile(&desired, &observed)?;
        self.carry_out(&plan, &desired, Demand::InForce)?;
        self.follow_in_user_space(named);
        Ok(plan)
    }

    /// Has in user space run what is desired, spread over the interfaces that exist. It comes after the switch: what does not ask
    /// to be ready before is in the way of no packet.
    fn follow_in_user_space(&mut self, desired: Desired) {
        if self.desired.is_some() && !self.is_stand_in {
            let runs = desired.without_hooks(&self.left.yielded);
            self.exposed.follow(self.parts.kernel.as_mut(), &runs);
            self.user_programs.follow(self.parts.kernel.as_ref(), &runs);
        }
    }

    /// What was asked for last and could be reached; nothing where that is not known.
    fn in_force(&self) -> Desired {
        self.desired.clone().unwrap_or_default()
    }

    fn observe(&self, desired: &Desired) -> Result<Observed, Rejected> {
        Ok(self.parts.kernel.observe(&desired.namespaces())?)
    }

    /// Carries out a plan. A user program that is to be ready before packets come is waited for where what is desired is new: what ran
    /// before must come back, also when its user program does not.
    fn carry_out(&mut self, plan: &Plan, desired: &Desired, demand: Demand) -> Result<(), Rejected> {
        let (user_programs, deadline) = (&mut self.user_programs, Instant::now() + LONGEST_WAIT);
        let mut start = |kernel: &dyn Kernel, package: &PackageRef| match demand {
            Demand::New => user_programs.make_ready(kernel, desired, &package.index, deadline),
            Demand::Again | Demand::InForce => Ok(()),
        };
        let applied = kernel::apply_with(self.parts.kernel.as_mut(), plan, desired, &mut start);
        applied.map_err(|mut halted| {
            halted.log = self.keep_log(&halted);
            Rejected::Halted(Box::new(halted))
        })
    }

    /// Writes a verifier's log to a file of its own. Without the file the refusal still has its telling line.
    fn keep_log(&self, halted: &Halted) -> Option<PathBuf> {
        let (Refused::Verifier { function, log, .. } | Refused::Splice { function, log, .. }) =
            &halted.refused
        else {
            return None;
        };
        let folder = self.parts.config.state.join("logs");
        let path = folder.join(format!("verifier-{function}.log"));
        let written = fs::create_dir_all(folder).and_then(|()| fs::write(&path, log));
        (!log.is_empty() && written.is_ok()).then_some(path)
    }

    fn resolve(
        &self,
        document: &Document,
        policy: &Policy,
        demand: Demand,
        fetched: &Fetched,
    ) -> Result<Resolved, Rejected> {
        let mut accepted = self.current()?.map(|generation| generation.packages).unwrap_or_default();
        if demand == Demand::Again {
            accepted.extend(fetched.0.clone());
        }
        let resolver = Resolver {
            store: &self.store,
            policy,
            machine: &self.parts.machine,
            remembered: &self.memory.read()?,
            now: (self.parts.clock)(),
            fetched: &fetched.0,
            found: &self.evidence.read()?,
            accepted: &accepted,
            places: &self.places,
            room: &|bytes| self.make_room(bytes),
        };
        resolver.resolve(document, demand)
    }

    fn current(&self) -> Result<Option<Generation>, Rejected> {
        self.generations.current().map_err(|source| Rejected::State { action: "read the generation", source })
    }
}

fn planned(plan: &Plan) -> Planned {
    let steps = plan
        .steps
        .iter()
        .map(|planned| PlannedStep { step: planned.step.to_string(), reason: planned.reason.to_owned() });
    Planned { steps: steps.collect(), chains: Vec::new(), waiting_for: Vec::new() }
}

fn steps(plan: &Plan) -> Vec<String> {
    plan.steps.iter().map(ToString::to_string).collect()
}
