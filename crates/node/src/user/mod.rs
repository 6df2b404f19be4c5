// SPDX-License-Identifier: Apache-2.0
//! The programs that packages run in user space.
//!
//! A program is executed from a sealed file in memory whose digest was compared with the one that was verified, each time
//! anew; no file system has a say in it. It is started after the chains of its package are switched, started again when it
//! ends, and told to end when its package leaves the desired state. It ends with the daemon.

mod birth;
mod calls;
mod cgroup;
mod confined;
mod failures;
mod files;
mod handed;
mod identity;
mod launch;
mod limits;
pub(crate) mod log;
mod process;
mod ready;
mod scratch;
mod sealed;
mod terms;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use kernel::{Cause, Kernel};
use package::{Convention, Digest, MemberName};
use plan::{Command, Desired, Errand, Hook, Member, Probe};
use trust::Verified;
use wire::{UserProgramName, UserProgramView};

use crate::Config;
use crate::config::UserProgramsConfig;

pub use birth::{USER_PROGRAM, become_user_program};

use cgroup::Cgroups;
use failures::Patience;
use handed::Handed;
use identity::Identities;
use launch::Executable;
use limits::Limits;
use process::{GRACE, Program, Watched, full_name};

/// What tells one user program from another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    /// The digest of its package.
    package: Digest,
    /// Where one runs for each member, for which and how.
    member: Option<(Hook, MemberName, Command)>,
    /// The maps that it is handed: it is started again for others.
    maps: Handed,
}

/// What is to run: of a package, or for a member of it.
type Wanted<'a> = (&'a Arc<Verified>, Option<(&'a Hook, &'a Command)>);

/// The user programs of one node.
#[derive(Debug)]
pub(crate) struct UserPrograms {
    logs: PathBuf,
    /// Where each has a folder of its own.
    folders: PathBuf,
    config: UserProgramsConfig,
    identities: Identities,
    cgroups: Arc<Cgroups>,
    running: BTreeMap<Key, Arc<Watched>>,
    ending: Vec<Arc<Watched>>,
}

impl UserPrograms {
    /// None yet; what they write goes to files in the folder of state.
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            logs: config.state.join("logs"),
            folders: config.state.join("user"),
            config: config.user_programs,
            identities: Identities::default(),
            cgroups: Arc::new(Cgroups::new(&config.state)),
            running: BTreeMap::new(),
            ending: Vec::new(),
        }
    }

    /// Starts what a desired state has, once what it takes the place of has ended, and stops what it has not. What is to end ends
    /// beside other work. What is desired is spread over the interfaces that exist.
    pub(crate) fn follow(&mut self, kernel: &dyn Kernel, desired: &Desired) {
        self.look_after();
        if self.running.is_empty() && self.ending.is_empty() {
            scratch::clear(&self.folders);
        }
        let wanted = wanted(kernel, desired);
        self.end_others(&wanted.keys().collect());
        for (key, wanted) in wanted {
            if !self.running.contains_key(&key) {
                let program = self.program(wanted, key.maps.clone());
                let before = self.ending.iter().filter(|ending| ending.program().is_followed_by(&program));
                let before = before.map(Arc::clone).collect();
                self.running.insert(key, Watched::start(program, before));
            }
        }
    }

    /// Starts the user program of a package with the maps that there are now, unless it runs with them, and waits until it says that
    /// it is ready, no longer than until `deadline`. What runs already goes on beside it.
    pub(crate) fn make_ready(
        &mut self,
        kernel: &dyn Kernel,
        desired: &Desired,
        package: &Digest,
        deadline: Instant,
    ) -> Result<(), Cause> {
        let Some((key, wanted)) =
            wanted(kernel, desired).into_iter().find(|(key, _)| key.package == *package)
        else {
            return Ok(());
        };
        let before = self.running.remove(&key);
        let watched = match before {
            Some(watched) if !watched.has_failed() => watched,
            before => {
                // One that failed has its chance at once.
                if let Some(watched) = &before {
                    self.let_go(Arc::clone(watched));
                }
                Watched::start(self.program(wanted, key.maps.clone()), before.into_iter().collect())
            }
        };
        self.running.insert(key.clone(), Arc::clone(&watched));
        let Some(within) = watched.ready_seconds() else { return Ok(()) };
        let within = within.duration().min(deadline.saturating_duration_since(Instant::now()));
        watched.wait_until_ready(within).map_err(|not_ready| {
            self.running.remove(&key);
            self.let_go(watched);
            not_ready.into()
        })
    }

    /// Has all end but these.
    fn end_others(&mut self, wanted: &BTreeSet<&Key>) {
        let gone: Vec<Key> = self.running.keys().filter(|key| !wanted.contains(key)).cloned().collect();
        for watched in gone.iter().filter_map(|key| self.running.remove(key)).collect::<Vec<_>>() {
            self.let_go(watched);
        }
    }

    fn let_go(&mut self, watched: Arc<Watched>) {
        watched.stop();
        self.ending.push(Arc::clone(&watched));
        std::thread::spawn(move || watched.end(Instant::now() + GRACE));
    }

    /// Forgets those that have ended, and bounds what the others write.
    pub(crate) fn look_after(&mut self) {
        self.ending.retain(|watched| !watched.has_ended());
        self.running.values().for_each(|watched| watched.bound_log());
    }

    /// Tries those again that were given up.
    pub(crate) fn try_again(&self) {
        self.running.values().for_each(|watched| watched.try_again());
    }

    /// Ends all of them, and waits for that.
    pub(crate) fn end(&mut self) {
        self.end_others(&BTreeSet::new());
        let deadline = Instant::now() + GRACE;
        for watched in self.ending.drain(..) {
            watched.end(deadline);
        }
    }

    /// Whether all got to where their work goes on by itself.
    pub(crate) fn have_begun(&self) -> bool {
        self.running.values().all(|watched| watched.has_begun())
    }

    /// How they are.
    pub(crate) fn views(&self) -> Vec<UserProgramView> {
        self.all().map(|watched| watched.view()).collect()
    }

    /// The program that somebody names.
    pub(crate) fn find(&self, name: &UserProgramName) -> Result<Named, NotNamed> {
        let is_it = |watched: &&Arc<Watched>| {
            let program = watched.program();
            name.names(&program.publisher, &program.package)
        };
        // Those that are wanted come first: one that is ending may have a successor.
        let found: Vec<&Arc<Watched>> = self.all().filter(is_it).collect();
        let full = |watched: &&Arc<Watched>| {
            let program = watched.program();
            format!("{}/{}", program.publisher, program.package)
        };
        let names: BTreeSet<String> = found.iter().map(full).collect();
        match found.first() {
            None => Err(NotNamed::Unknown),
            Some(_) if names.len() > 1 => Err(NotNamed::Several(names)),
            Some(watched) => Ok(Named(Arc::clone(watched))),
        }
    }

    fn all(&self) -> impl Iterator<Item = &Arc<Watched>> {
        self.running.values().chain(self.ending.iter().filter(|watched| !watched.has_ended()))
    }

    fn program(&mut self, (verified, member): Wanted<'_>, maps: Handed) -> Program {
        let manifest = &verified.package().manifest;
        let user = manifest.user.as_ref().expect("only packages with a user program are asked for one");
        let info = &manifest.package;
        let command = member.map(|(_, command)| command);
        let executable = |name: &String, arguments: &Vec<String>| Executable {
            name: name.clone(),
            arguments: arguments.clone(),
            digest: verified
                .platform()
                .files
                .bytes(name)
                .map(Digest::of)
                .expect("a package that was read has the programs that it is asked for"),
        };
        let errand = |errand: &Errand| executable(&errand.file, &errand.arguments);
        let main = command.map_or((&user.command, &user.args), |command| (&command.file, &command.arguments));
        let limits = Limits::of(user, &self.config);
        // Who verified the package compared what it asks for with what the policy grants.
        let identity = self.identities.of(&info.publisher, &info.name, &user.privileges);
        // Programs of l3afd v1 never said what they need; they get what there is of what such programs may need.
        let identity = identity.map(|identity| member.map_or(identity, |_| identity.as_far_as_possible()));
        let UserProgramsConfig { failures, window_seconds, .. } = self.config;
        let window = Duration::from_secs(window_seconds.get().into());
        Program {
            publisher: info.publisher.clone(),
            package: info.name.clone(),
            version: info.version.clone(),
            main: executable(main.0, main.1),
            stop: command.and_then(|command| command.stop.as_ref()).map(errand),
            status: command
                .and_then(|command| command.status.as_ref())
                .map(|(status, period)| (errand(status), *period)),
            member: member.map(|(hook, _)| hook.to_string()),
            cpu_seconds: command.and_then(|command| command.cpu_seconds),
            once: command.is_some_and(|command| command.once),
            files: command.map(|command| command.files.clone()).unwrap_or_default(),
            verified: Arc::clone(verified),
            log: self.logs.join(format!("user-{}.log", full_name(&info.publisher, &info.name))),
            folders: self.folders.clone(),
            identity,
            limits: limits.with_memory(command.and_then(|command| command.memory)),
            patience: Patience { most: failures.get(), window },
            cgroups: Arc::clone(&self.cgroups),
            maps,
        }
    }
}

/// A program that somebody named.
#[derive(Debug)]
pub(crate) struct Named(Arc<Watched>);

/// What somebody named is no one program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NotNamed {
    /// There is none.
    Unknown,
    /// There are several: these.
    Several(BTreeSet<String>),
}

impl Named {
    /// The file with what it wrote.
    pub(crate) fn log(&self) -> &Path {
        &self.0.program().log
    }

    /// Whether it is gone for good.
    pub(crate) fn has_ended(&self) -> bool {
        self.0.has_ended()
    }
}

/// The user programs of packages of which something is to run, and those of members.
fn wanted<'d>(kernel: &dyn Kernel, desired: &'d Desired) -> BTreeMap<Key, Wanted<'d>> {
    let members = desired.members().filter(|member| member.is_enabled());
    let probes = desired.probes().values().filter(|probe| probe.is_enabled());
    let packages = members.map(Member::verified).chain(probes.map(Probe::verified));
    let whole = packages.filter(|package| convention(package) == Some(Convention::Package));
    let whole: BTreeMap<Digest, _> = whole.map(|package| (package.package().index, package)).collect();
    let keyed = whole.into_iter().map(|(package, verified)| {
        let maps = Handed::of(kernel, desired, &package);
        (Key { package, member: None, maps }, (verified, None))
    });
    let mut wanted: BTreeMap<Key, Wanted<'_>> = keyed.collect();
    for (hook, member) in
        desired.chains().iter().flat_map(|(hook, chain)| chain.iter().map(move |member| (hook, member)))
    {
        let package = member.verified();
        if !member.is_enabled() || convention(package) != Some(Convention::L3afd) {
            continue;
        }
        let commands = member.outside().commands.iter().map(|command| {
            // Programs of l3afd v1 look for pins.
            let (package_digest, maps) = (package.package().index, Handed::default());
            let member = Some((hook.clone(), member.spec().name.clone(), command.clone()));
            (Key { package: package_digest, member, maps }, (package, Some((hook, command))))
        });
        wanted.extend(commands);
    }
    wanted
}

fn convention(package: &Verified) -> Option<Convention> {
    package.package().manifest.user.as_ref().map(|user| user.convention)
}
