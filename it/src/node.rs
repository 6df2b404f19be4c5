// SPDX-License-Identifier: Apache-2.0
//! A daemon in a namespace, with folders of its own.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{fs, thread};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;
use wire::{ChainView, Chains, MemberView, Status};

use crate::{Ran, Side, binary, run, unique};

/// How long to wait for what must happen.
const PATIENCE: Duration = Duration::from_mins(1);

/// A daemon that runs in a namespace. It is killed, and what it pinned is removed, when it goes out of scope.
#[derive(Debug)]
pub struct Node {
    namespace: String,
    folder: TempDir,
    state: PathBuf,
    /// The folder of its pins.
    pub pins: PathBuf,
    child: Option<Child>,
    executable: PathBuf,
    /// What is said to it besides, from the next start on.
    pub flags: Vec<&'static str>,
    /// Lines of its configuration besides, from the next start on.
    pub settings: String,
    /// Between two regular comparisons, from the next start on.
    pub poll_seconds: u32,
}

impl Node {
    /// Starts a daemon on a side of a pair, under a policy.
    ///
    /// # Errors
    /// When it does not answer soon.
    pub fn start(side: &Side, policy: &str) -> Result<Self> {
        Self::start_from(&binary("l3afd")?, side, policy)
    }

    /// Starts a daemon from an executable of its own.
    ///
    /// # Errors
    /// When it does not answer soon.
    pub fn start_from(executable: &Path, side: &Side, policy: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let state = folder.path().join("state");
        Self::start_in(folder, state, executable, side, policy)
    }

    /// Starts a daemon over a folder of state that was there before and stays.
    ///
    /// # Errors
    /// When it does not answer soon.
    pub fn start_over(state: &Path, side: &Side, policy: &str) -> Result<Self> {
        Self::start_in(tempfile::tempdir()?, state.to_owned(), &binary("l3afd")?, side, policy)
    }

    fn start_in(
        folder: TempDir,
        state: PathBuf,
        executable: &Path,
        side: &Side,
        policy: &str,
    ) -> Result<Self> {
        fs::write(folder.path().join("trust.toml"), policy)?;
        let pins = Path::new("/sys/fs/bpf").join(unique("l3af-it-"));
        let (namespace, executable) = (side.namespace.clone(), executable.to_owned());
        let mut node = Self {
            namespace,
            folder,
            state,
            pins,
            child: None,
            executable,
            flags: Vec::new(),
            poll_seconds: 1,
            settings: String::new(),
        };
        node.restart()?;
        Ok(node)
    }

    /// Starts the daemon again, over the same folders. One that runs is killed for that.
    ///
    /// # Errors
    /// When it does not answer soon.
    pub fn restart(&mut self) -> Result<()> {
        self.kill()?;
        let folder = self.folder.path();
        let config = format!("poll_seconds = {}\n{}", self.poll_seconds, self.settings);
        fs::write(folder.join("l3afd.toml"), config)?;
        let log = fs::File::options().create(true).append(true).open(folder.join("log"))?;
        let child = Command::new("nsenter")
            .arg(format!("--net=/run/netns/{}", self.namespace))
            .arg(&self.executable)
            .arg("--config")
            .arg(folder.join("l3afd.toml"))
            .arg("--socket")
            .arg(self.socket())
            .arg("--state")
            .arg(self.state())
            .arg("--pins")
            .arg(&self.pins)
            .arg("--policy")
            .arg(folder.join("trust.toml"))
            .args(&self.flags)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()?;
        self.child = Some(child);
        let begin = Instant::now();
        while !self.cli(&["status"])?.ok {
            let ended = self.child.as_mut().is_none_or(|child| !matches!(child.try_wait(), Ok(None)));
            if ended || begin.elapsed() > PATIENCE {
                bail!("the daemon did not come up:\n{}", self.log());
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Kills the daemon in the middle of whatever it does.
    ///
    /// # Errors
    /// When it cannot be killed.
    pub fn kill(&mut self) -> Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// Lets the daemon end as it is meant to, and waits for that.
    ///
    /// # Errors
    /// When it cannot be told to.
    pub fn end(&mut self) -> Result<()> {
        if let Some(mut child) = self.child.take() {
            run(&format!("kill -TERM {}", child.id()))?;
            child.wait()?;
        }
        Ok(())
    }

    /// Tells the daemon to look at its policy now.
    ///
    /// # Errors
    /// When it does not run.
    pub fn hang_up(&self) -> Result<()> {
        self.signal("HUP")
    }

    /// Sends the daemon a signal.
    ///
    /// # Errors
    /// When it does not run.
    pub fn signal(&self, name: &str) -> Result<()> {
        let child = self.child.as_ref().context("no daemon runs")?;
        run(&format!("kill -{name} {}", child.id())).map(drop)
    }

    /// The process of the daemon.
    ///
    /// # Errors
    /// When none was started.
    pub fn process(&self) -> Result<u32> {
        Ok(self.child.as_ref().context("no daemon runs")?.id())
    }

    /// Whether the daemon that was started runs still.
    ///
    /// # Errors
    /// When nobody knows.
    pub fn runs(&mut self) -> Result<bool> {
        let child = self.child.as_mut().context("no daemon runs")?;
        Ok(child.try_wait()?.is_none())
    }

    /// The file of the policy.
    pub fn policy(&self) -> PathBuf {
        self.folder.path().join("trust.toml")
    }

    /// Replaces the policy, as an administrator should: by renaming.
    pub fn trust(&self, policy: &str) {
        let beside = self.folder.path().join("trust.new");
        fs::write(&beside, policy).expect("the folder is there");
        fs::rename(beside, self.policy()).expect("the folder is there");
    }

    /// How the daemon is.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn status(&self) -> Result<Status> {
        Ok(serde_json::from_str(&self.l3af(&["status", "--json"])?)?)
    }

    /// Waits until something is so.
    ///
    /// # Panics
    /// When it takes too long.
    #[track_caller]
    pub fn wait(&self, what: &str, is_so: impl Fn() -> bool) {
        let begin = Instant::now();
        while !is_so() {
            assert!(begin.elapsed() < PATIENCE, "{what} does not happen:\n{}", self.log());
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Runs `l3af` against this daemon.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn cli(&self, arguments: &[&str]) -> Result<Ran> {
        let output =
            Command::new(binary("l3af")?).arg("--socket").arg(self.socket()).args(arguments).output()?;
        Ok(output.into())
    }

    /// Runs `l3af` against this daemon, and expects it to succeed.
    ///
    /// # Errors
    /// When it fails.
    pub fn l3af(&self, arguments: &[&str]) -> Result<String> {
        self.cli(arguments)?.success()
    }

    /// Writes a document and applies it.
    ///
    /// # Errors
    /// When it cannot be written or `l3af` cannot be started.
    pub fn apply(&self, document: &str) -> Result<Ran> {
        self.apply_with(document, &[])
    }

    /// The same with more arguments for `l3af apply`.
    ///
    /// # Errors
    /// When it cannot be written or `l3af` cannot be started.
    pub fn apply_with(&self, document: &str, arguments: &[&str]) -> Result<Ran> {
        let path = self.folder.path().join("document.toml");
        fs::write(&path, document)?;
        self.cli(&[&["apply", &path.to_string_lossy()], arguments].concat())
    }

    /// The chains, as the daemon sees them.
    ///
    /// # Errors
    /// When the daemon does not answer.
    pub fn chains(&self) -> Result<Vec<ChainView>> {
        Ok(serde_json::from_str::<Chains>(&self.l3af(&["chain", "--json"])?)?.chains)
    }

    /// The names of the members of all chains, in order.
    ///
    /// # Errors
    /// When the daemon does not answer.
    pub fn names(&self) -> Result<Vec<String>> {
        let chains = self.chains()?;
        Ok(chains.iter().flat_map(|chain| &chain.members).map(|member| member.name.to_string()).collect())
    }

    /// The members of the only chain.
    ///
    /// # Errors
    /// When there is not exactly one chain.
    pub fn members(&self) -> Result<Vec<MemberView>> {
        let mut chains = self.chains()?;
        match (chains.pop(), chains.is_empty()) {
            (Some(only), true) => Ok(only.members),
            (last, _) => bail!("there are {} chains", chains.len() + usize::from(last.is_some())),
        }
    }

    /// The socket of the daemon.
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("l3afd.sock")
    }

    /// The folder of state of the daemon.
    pub fn state(&self) -> PathBuf {
        self.state.clone()
    }

    /// What the daemon said so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        drop(self.kill());
        // Links first: the interface is free from then on.
        drop(self.cli(&["detach", "--all", "--pins", &self.pins.to_string_lossy()]));
        drop(fs::remove_dir(&self.pins));
    }
}
