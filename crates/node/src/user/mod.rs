// SPDX-License-Identifier: Apache-2.0
//! The programs that packages run in user space.
//!
//! A program is executed from a sealed file in memory whose digest was compared with the one that was verified, each time
//! anew; no file system has a say in it. It is started after the chains of its package are switched, started again when it
//! ends, and told to end when its package leaves the desired state. It ends with the daemon.

mod birth;
mod process;
mod sealed;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use package::Digest;
use plan::{Desired, Member, Probe};
use trust::Verified;
use wire::UserProgramView;

pub use birth::{USER_PROGRAM, become_user_program};

use process::{GRACE, Program, Watched};

/// The user programs of one node, by the digests of their packages.
#[derive(Debug)]
pub(crate) struct UserPrograms {
    logs: PathBuf,
    running: BTreeMap<Digest, Arc<Watched>>,
    ending: Vec<Arc<Watched>>,
}

impl UserPrograms {
    /// None yet; what they write goes to files in the folder of state.
    pub(crate) fn new(state: &Path) -> Self {
        Self { logs: state.join("logs"), running: BTreeMap::new(), ending: Vec::new() }
    }

    /// Starts what a desired state has and stops what it has not. What is to end ends beside other work.
    pub(crate) fn follow(&mut self, desired: &Desired) {
        self.ending.retain(|watched| !watched.has_ended());
        let wanted = wanted(desired);
        let gone: Vec<Digest> =
            self.running.keys().filter(|index| !wanted.contains_key(index)).copied().collect();
        for watched in gone.iter().filter_map(|index| self.running.remove(index)) {
            watched.stop();
            self.ending.push(Arc::clone(&watched));
            std::thread::spawn(move || watched.end(Instant::now() + GRACE));
        }
        for (index, package) in wanted {
            let start = || Watched::start(program(package, &self.logs));
            self.running.entry(index).or_insert_with(start);
        }
    }

    /// Ends all of them, and waits for that.
    pub(crate) fn end(&mut self) {
        self.follow(&Desired::default());
        let deadline = Instant::now() + GRACE;
        for watched in self.ending.drain(..) {
            watched.end(deadline);
        }
    }

    /// How they are.
    pub(crate) fn views(&self) -> Vec<UserProgramView> {
        let ending = self.ending.iter().filter(|watched| !watched.has_ended());
        self.running.values().chain(ending).map(|watched| watched.view()).collect()
    }
}

/// The packages with a user program of which something is to run.
fn wanted(desired: &Desired) -> BTreeMap<Digest, &Arc<Verified>> {
    let members = desired.chains().values().flatten().filter(|member| member.is_enabled());
    let probes = desired.probes().values().filter(|probe| probe.is_enabled());
    let packages = members.map(Member::verified).chain(probes.map(Probe::verified));
    let with_program = packages.filter(|package| package.package().manifest.user.is_some());
    with_program.map(|package| (package.package().index, package)).collect()
}

fn program(verified: &Arc<Verified>, logs: &Path) -> Program {
    let manifest = &verified.package().manifest;
    let user = manifest.user.as_ref().expect("only packages with a user program are asked for one");
    let info = &manifest.package;
    let bytes = verified.platform().files.bytes(&user.command);
    Program {
        publisher: info.publisher.clone(),
        package: info.name.clone(),
        version: info.version.clone(),
        name: user.command.clone(),
        arguments: user.args.clone(),
        digest: bytes.map(Digest::of).expect("a package that was read has its user program"),
        verified: Arc::clone(verified),
        log: logs.join(format!("user-{}-{}.log", info.publisher, info.name)),
    }
}
