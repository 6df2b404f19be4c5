// SPDX-License-Identifier: Apache-2.0
//! Bringing a process of a user program into being, with all that surrounds it while it runs.

use std::fs::File;
use std::io;
use std::process::Child;

use package::Digest;
use wire::UserProgramLimit;

use super::birth;
use super::cgroup::Cgroup;
use super::handed::Open;
use super::limits::Enforced;
use super::process::Program;
use super::ready::{self, Listener};
use super::scratch::Scratch;
use super::sealed::Sealed;
use super::terms::{Signals, Terms};

/// A file of a package that is executed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Executable {
    /// The file.
    pub(super) name: String,
    pub(super) arguments: Vec<String>,
    /// The digest of the file, as it was compared with the publisher's statement.
    pub(super) digest: Digest,
}

/// A process that runs. Its folder and its control group go when this does.
#[derive(Debug)]
pub(super) struct Launched {
    pub(super) child: Child,
    /// What became of its limits.
    pub(super) limits: Vec<UserProgramLimit>,
    /// Where it says that it is ready.
    pub(super) listener: Option<Listener>,
    /// It goes first, and what is left in it with it: nobody writes to the folder then.
    _cgroup: Option<Cgroup>,
    _scratch: Scratch,
    _handed: Open,
}

impl Program {
    /// Starts it, writing to a file; with a socket where it is to say that it is ready.
    pub(super) fn launch(&self, output: &File) -> Result<Launched, String> {
        self.bring_up(&self.main, output, Signals::Fenced, self.ready_seconds().is_some())
    }

    /// Starts what runs beside it for a moment, on the same terms. It may signal what it takes care of.
    pub(super) fn launch_errand(&self, errand: &Executable, output: &File) -> Result<Launched, String> {
        self.bring_up(errand, output, Signals::ToOwnUser, false)
    }

    /// The bytes are put into memory, sealed and compared each time.
    fn bring_up(
        &self,
        executable: &Executable,
        output: &File,
        signals: Signals,
        is_to_be_ready: bool,
    ) -> Result<Launched, String> {
        let Executable { name, arguments, digest } = executable;
        let bytes = self.verified.platform().files.bytes(name);
        let bytes = bytes.expect("a package that was read has the programs that it is asked for");
        let sealed =
            Sealed::new(self.package.as_ref(), bytes, digest).map_err(|unsealed| chain(&unsealed))?;
        let identity = self.identity.ok_or("every user number that is kept for user programs is taken")?;
        let launch = || -> io::Result<Launched> {
            let scratch = Scratch::make(&self.folders)?;
            // Before the folder is given away: nobody but the daemon has a say in what is at this path.
            let open = || Listener::open(scratch.path(), identity.user());
            let listener = is_to_be_ready.then(open).transpose()?;
            scratch.give_to(identity.user())?;
            let Enforced { cgroup, address_space, told: limits } =
                self.limits.enforce(&self.cgroups, &self.full_name());
            let folder = cgroup.as_ref().map(|cgroup| cgroup.path().to_owned());
            let handed = self.maps.make()?;
            let maps = handed.numbers.clone();
            let cpu_seconds = self.cpu_seconds;
            let terms = Terms { identity, signals, address_space, cpu_seconds, cgroup: folder, maps };
            let mut command = birth::command(sealed, (name, arguments), &terms, output, scratch.path())?;
            command.envs(listener.iter().map(|_| (ready::VARIABLE, Listener::path(scratch.path()))));
            let child = command.spawn()?;
            Ok(Launched { child, limits, listener, _cgroup: cgroup, _scratch: scratch, _handed: handed })
        };
        launch().map_err(|error| error.to_string())
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let cause = error.source().map(|cause| format!(": {}", chain(cause)));
    format!("{error}{}", cause.unwrap_or_default())
}
