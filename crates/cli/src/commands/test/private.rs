// SPDX-License-Identifier: Apache-2.0
//! A daemon for one run of tests: its socket, files and pins are its own, and go with it.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use wire::NodeClient;

use super::leavings::{Leavings, own_user};
use crate::failure::{Failure, Outcome};

/// How long it may take to come up.
const PATIENCE: Duration = Duration::from_secs(20);
/// How many of its last words are told when it does not.
const LAST_WORDS: usize = 5;

/// A daemon that ends with this value.
pub(super) struct Private<'a> {
    folder: TempDir,
    leavings: &'a Leavings,
}

impl<'a> Private<'a> {
    /// Starts it, and waits until it answers.
    pub(super) fn start(leavings: &'a Leavings) -> Result<Self, Failure> {
        check_user()?;
        let folder = tempfile::tempdir()?;
        let at = folder.path();
        // What is built here is signed by nobody.
        fs::write(at.join("trust.toml"), "mode = \"normal\"\n")?;
        // Nothing runs that others could change.
        fs::write(at.join("l3afd.toml"), "poll_seconds = 3600\n")?;
        leavings.start(|pins| spawn(at, pins))?;
        let private = Self { folder, leavings };
        let begin = Instant::now();
        while UnixStream::connect(private.socket()).is_err() {
            if !leavings.is_running() || begin.elapsed() > PATIENCE {
                let why = format!("the daemon for the tests does not come up:\n{}", private.last_words());
                return Err(Failure::new(why).with_hint("`--socket` names one that runs"));
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(private)
    }

    /// A client for it.
    pub(super) fn client(&self) -> Result<NodeClient, Failure> {
        Ok(NodeClient::new(&self.socket())?)
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    fn last_words(&self) -> String {
        let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let last = lines.iter().skip(lines.len().saturating_sub(LAST_WORDS));
        last.map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
    }
}

/// Refuses who may have no programs run.
fn check_user() -> Outcome {
    if own_user()? == 0 {
        return Ok(());
    }
    Err(Failure::new("running programs in the kernel takes root")
        .with_hint("`sudo l3af test`, or name a daemon that runs with `--socket`"))
}

/// The daemon that came with this program, else the one that is found as programs are.
pub(super) fn executable() -> PathBuf {
    let beside = std::env::current_exe().ok().map(|own| own.with_file_name("l3afd"));
    beside.filter(|path| path.exists()).unwrap_or_else(|| PathBuf::from("l3afd"))
}

fn spawn(folder: &Path, pins: &Path) -> Result<Child, Failure> {
    let daemon = executable();
    let missing = |error| {
        Failure::new(format!("cannot start `{}`: {error}", daemon.display()))
            .with_hint("`l3afd` lies beside `l3af`, or is found by `PATH`; `--socket` names one that runs")
    };
    Command::new(&daemon).arg("--version").output().map_err(missing)?;
    let log = fs::File::create(folder.join("log"))?;
    let begin = |mut command: Command| {
        command.arg("--config").arg(folder.join("l3afd.toml"));
        command.arg("--socket").arg(folder.join("socket")).arg("--state").arg(folder.join("state"));
        command.arg("--pins").arg(pins).arg("--policy").arg(folder.join("trust.toml"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log.try_clone()?).spawn()
    };
    // It ends also when this command is killed.
    let mut bound = Command::new("setpriv");
    bound.args(["--pdeathsig", "TERM"]).arg(&daemon);
    let child = match begin(bound) {
        Err(error) if error.kind() == ErrorKind::NotFound => begin(Command::new(&daemon)),
        child => child,
    };
    child.map_err(missing)
}

impl Drop for Private<'_> {
    fn drop(&mut self) {
        self.leavings.stop();
    }
}
