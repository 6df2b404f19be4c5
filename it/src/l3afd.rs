// SPDX-License-Identifier: Apache-2.0
//! A site as l3afd v1 left it: its network, its configuration, its repository of packages; and a daemon of this project
//! in its place. What programs and clients of then see is at the paths and ports where they look for it.

mod artifacts;
mod client;
mod home;
mod layout;
mod scene;

use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant};
use std::{fs, thread};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

pub use artifacts::Artifacts;
pub use client::Answer;
use home::Home;
pub use layout::Chaining;
use layout::Layout;
use scene::HttpServers;

use crate::{Pair, Side};

/// How long to wait for what must happen.
const PATIENCE: Duration = Duration::from_mins(1);

/// A site with its network and its folders. Its daemon, and whatever that started, is killed when it goes out of scope.
#[derive(Debug)]
pub struct Site {
    /// Clients on the left, at `ibpf`; the daemon on the right, at `ibpfbr`.
    pub pair: Pair,
    /// Where the end of the tunnel `gue1` sends what it wraps.
    pub tunnel: Tunnel,
    home: Home,
    layout: Layout,
    folder: TempDir,
    child: Option<Child>,
    _servers: HttpServers,
}

/// What mirrored packets are wrapped in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tunnel {
    /// IP in GUE, as l3afd has it.
    Gue,
    /// VXLAN to the same port, where the kernel has no GUE.
    Vxlan,
}

impl Site {
    /// Makes the network, the servers and the folders, with a policy. No daemon runs yet.
    ///
    /// # Errors
    /// When something is missing or refuses; it needs root.
    pub fn new(artifacts: &Artifacts, policy: &str) -> Result<Self> {
        let side = |name: &str, interface: &str, last: u8| Side {
            namespace: crate::unique(&format!("l3afd-{name}")),
            interface: interface.to_owned(),
            address: format!("192.168.15.{last}"),
        };
        let pair = Pair::joined(side("client", "ibpf", 1), side("node", "ibpfbr", 80))?;
        let tunnel = scene::tunnel(&pair.right)?;
        let servers = HttpServers::start(&pair)?;
        let home = Home::new(&pair.right)?;
        let folder = tempfile::tempdir()?;
        let layout = Layout::new(folder.path(), artifacts)?;
        layout.write(Chaining::Enabled)?;
        fs::write(folder.path().join("trust.toml"), policy)?;
        Ok(Self { pair, tunnel, home, layout, folder, child: None, _servers: servers })
    }

    /// Starts the daemon as it was always started, and waits until its interface answers.
    ///
    /// # Errors
    /// When it does not answer soon.
    pub fn start(&mut self) -> Result<()> {
        self.start_with(&[])
    }

    /// The same with more arguments.
    ///
    /// # Errors
    /// When it does not answer soon.
    pub fn start_with(&mut self, arguments: &[&str]) -> Result<()> {
        let folder = self.folder.path();
        let log = fs::File::options().create(true).append(true).open(folder.join("said"))?;
        let mut command = self.home.command(&self.layout.executable());
        command.arg("-config").arg(self.layout.configuration());
        command.arg("--socket").arg(self.socket());
        command.arg("--state").arg(folder.join("state"));
        command.args(["--pins", "/sys/fs/bpf/l3af"]);
        command.arg("--policy").arg(self.policy()).args(arguments);
        self.child = Some(command.stdout(log.try_clone()?).stderr(log).spawn()?);
        let begin = Instant::now();
        while !self.answers()? {
            let ended = self.child.as_mut().is_none_or(|child| !matches!(child.try_wait(), Ok(None)));
            if ended || begin.elapsed() > PATIENCE {
                bail!("the daemon did not come up:\n{}", self.log());
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    fn answers(&self) -> Result<bool> {
        Ok(self.pid().is_ok() && self.reaches(client::REST)? && self.reaches(client::METRICS)?)
    }

    fn reaches(&self, address: &'static str) -> Result<bool> {
        self.pair.right.inside(move || std::net::TcpStream::connect(address).is_ok())
    }

    /// Lets the daemon that runs now end by SIGINT, as an administrator's Ctrl-C does, and waits for that.
    ///
    /// # Errors
    /// When none runs, or it does not end.
    pub fn interrupt(&mut self) -> Result<()> {
        let pid = self.pid()?;
        crate::run(&format!("kill -INT {pid}"))?;
        self.wait("the daemon ends", |_| !home::runs(pid))
    }

    /// Makes of what runs what a l3afd v1 would have left, with another process in its place: links where it pins them, packets that are
    /// sent in a filter as it makes them on old kernels, what was asked for in its store, and nothing of this daemon. Returns the number of the process, and of one that it started.
    ///
    /// # Errors
    /// When the daemon does not end, or something cannot be moved.
    pub fn make_old(&mut self) -> Result<(u32, u32)> {
        self.interrupt()?;
        fs::remove_dir_all(self.folder.path().join("state"))?;
        let script = "set -e; cd /sys/fs/bpf; mv l3af old; mkdir -p progs/ibpfbr\n\
                      mv $(find old/ibpfbr/tc-egress/root -name program) progs/ibpfbr/root_tc\n\
                      tc filter del dev ibpfbr egress pref 5039 2>/dev/null || rm old/ibpfbr/tc-egress/root/link\n\
                      tc qdisc add dev ibpfbr clsact 2>/dev/null || true\n\
                      tc filter add dev ibpfbr egress bpf da object-pinned /sys/fs/bpf/progs/ibpfbr/root_tc\n\
                      for hook in old/ibpfbr/*; do\n\
                      folder=links/ibpfbr/some-root/latest; mkdir -p $folder\n\
                      if [ -e $hook/root/link ]; then mv $hook/root/link $folder/$(basename $hook | tr - _); fi\ndone\n\
                      cp /bin/bash \"$1\"; exec \"$1\" -c 'sleep 600 & echo $! > \"$0\".child; wait' \"$1\"\n";
        let program = self.folder.path().join("v1/l3afd");
        fs::create_dir_all(self.folder.path().join("v1"))?;
        let mut command = self.home.command(Path::new("/bin/sh"));
        let child = command.args(["-c", script, "sh"]).arg(&program).spawn()?;
        let (pid, beside) = (child.id(), program.with_extension("child"));
        self.child = Some(child);
        fs::write(self.layout.pid_file(), pid.to_string())?;
        let number = |beside: &Path| fs::read_to_string(beside).ok()?.trim().parse().ok();
        self.wait("the old one runs", |_| number(&beside).is_some())?;
        Ok((pid, number(&beside).context("it has a child")?))
    }

    /// Where versions of the daemon are fetched from that are not installed.
    pub fn releases(&self) -> PathBuf {
        self.folder.path().join("artifacts")
    }

    /// The daemon's folder of state.
    pub fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// Whether a process runs.
    pub fn is_running(pid: u32) -> bool {
        home::runs(pid)
    }

    /// The namespace of the client.
    pub fn client(&self) -> &str {
        &self.pair.left.namespace
    }

    /// Writes the configuration anew, for the next start.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn configure(&self, chaining: Chaining) -> Result<()> {
        self.layout.write(chaining)
    }

    /// Waits until something is so. Whoever ended meanwhile is buried.
    ///
    /// # Errors
    /// When it takes too long: with what the daemon said.
    pub fn wait(&mut self, what: &str, is_so: impl Fn(&Self) -> bool) -> Result<()> {
        let begin = Instant::now();
        while !is_so(self) {
            if begin.elapsed() > PATIENCE {
                bail!("it is not so that {what}:\n{}", self.log());
            }
            if let Some(child) = &mut self.child {
                child.try_wait()?;
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// The process in the PID file.
    ///
    /// # Errors
    /// When there is no such file, or no such process.
    pub fn pid(&self) -> Result<u32> {
        let pid = fs::read_to_string(self.layout.pid_file())?.trim().parse()?;
        if home::runs(pid) { Ok(pid) } else { bail!("no process {pid} runs") }
    }

    /// Runs a command line of words without blanks where the daemon runs: with its network and its pins.
    ///
    /// # Errors
    /// When it cannot be started or fails.
    pub fn run(&self, line: &str) -> Result<String> {
        let mut words = line.split_ascii_whitespace();
        let program = words.next().context("an empty command line")?;
        let output = self.home.command(Path::new(program)).args(words).output()?;
        crate::Ran::from(output).success().with_context(|| format!("`{line}` failed"))
    }

    /// The commands, with their arguments, of what runs in the daemon's home besides the daemon.
    ///
    /// # Errors
    /// When processes cannot be listed.
    pub fn user_programs(&self) -> Result<Vec<Vec<String>>> {
        let daemon = self.pid().ok();
        let others = self.home.processes()?.into_iter().filter(|pid| Some(*pid) != daemon);
        let words = |pid: u32| -> Option<Vec<String>> {
            let line = fs::read_to_string(format!("/proc/{pid}/cmdline")).ok()?;
            Some(line.trim_end_matches('\0').split('\0').map(str::to_owned).collect())
        };
        Ok(others.filter_map(words).collect())
    }

    /// A payload, or an answer that is expected, of `it/fixtures/payloads`, for this host.
    ///
    /// # Errors
    /// When there is none.
    pub fn payload(&self, name: &str) -> Result<String> {
        let path = crate::repository().join(format!("it/fixtures/payloads/{name}.json"));
        let text = fs::read_to_string(&path).with_context(|| format!("`{}` is missing", path.display()))?;
        Ok(text.replace("l3af-test-host", &Self::host()?))
    }

    /// The name of this host, as clients give it.
    ///
    /// # Errors
    /// When it has none.
    pub fn host() -> Result<String> {
        Ok(fs::read_to_string("/proc/sys/kernel/hostname")?.trim().to_owned())
    }

    /// The file of the configuration.
    pub fn configuration(&self) -> PathBuf {
        self.layout.configuration()
    }

    /// The file with what is to run.
    pub fn store(&self) -> PathBuf {
        self.layout.store()
    }

    /// The folder where artifacts are unpacked.
    pub fn bpf_dir(&self) -> PathBuf {
        self.layout.bpf_dir()
    }

    /// The file of the policy.
    pub fn policy(&self) -> PathBuf {
        self.folder.path().join("trust.toml")
    }

    /// The daemon's own socket, for `l3af`.
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("l3afd.sock")
    }

    /// What the daemon said so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("said")).unwrap_or_default()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.home.clear();
        if let Some(child) = &mut self.child {
            drop(child.kill());
            drop(child.wait());
        }
    }
}
