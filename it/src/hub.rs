// SPDX-License-Identifier: Apache-2.0
//! A hub on this machine, or on the loopback interface of a namespace, with a folder of its own.

mod browser;
mod http;
mod kills;
mod people;
mod pusher;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};
use std::{fs, thread};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

pub use self::browser::{Browser, Page, escaped};
pub use self::http::{Ask, Reply};
pub use self::kills::{Tally, push_through_kills};
pub use self::people::Person;
pub use self::pusher::{Artifact, Pusher};
use crate::{Ran, Side, binary, run};

/// How long to wait for what must happen.
const PATIENCE: Duration = Duration::from_mins(1);
/// The port of a hub, which is none that the kernel gives away.
const PORT: u16 = 8520;

/// A hub that runs. It is killed when it goes out of scope.
#[derive(Debug)]
pub struct Hub {
    folder: TempDir,
    /// Where it keeps everything.
    state: PathBuf,
    namespace: Option<String>,
    address: SocketAddr,
    child: Option<Child>,
    /// Lines of its configuration besides, from the next start on.
    pub settings: String,
    /// Which program it is, from the next start on: `l3af-hub` beside this one.
    pub program: PathBuf,
}

impl Hub {
    /// Starts a hub that is told nothing but where to listen and to keep things.
    ///
    /// # Errors
    /// When it does not answer soon.
    pub fn start() -> Result<Self> {
        Self::start_with("")
    }

    /// Starts a hub with lines of its configuration besides. Where they say nothing of `[access]` anybody may do anything.
    ///
    /// # Errors
    /// When it does not answer soon.
    pub fn start_with(settings: &str) -> Result<Self> {
        Self::started(None, settings)
    }

    /// Starts a hub over what another one may have kept in a folder.
    ///
    /// # Errors
    /// When it does not answer soon.
    pub fn start_over(state: &Path) -> Result<Self> {
        Self::started_over(tempfile::tempdir()?, state.to_owned(), None, "")
    }

    /// Starts a hub in the namespace of a side.
    ///
    /// # Errors
    /// When it does not answer soon.
    pub fn start_on(side: &Side, settings: &str) -> Result<Self> {
        Self::started(Some(side.namespace.clone()), settings)
    }

    fn started(namespace: Option<String>, settings: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let state = folder.path().join("hub");
        Self::started_over(folder, state, namespace, settings)
    }

    fn started_over(
        folder: TempDir,
        state: PathBuf,
        namespace: Option<String>,
        settings: &str,
    ) -> Result<Self> {
        let address = SocketAddr::from((own_address(), PORT));
        let (settings, program) = (settings.to_owned(), binary("l3af-hub")?);
        let mut hub = Self { folder, state, namespace, address, child: None, settings, program };
        hub.restart()?;
        Ok(hub)
    }

    /// Starts another hub over what this one keeps.
    ///
    /// # Errors
    /// When it does not answer soon.
    pub fn replica(&self) -> Result<Self> {
        let (state, namespace) = (self.state.clone(), self.namespace.clone());
        Self::started_over(tempfile::tempdir()?, state, namespace, &self.settings)
    }

    /// Starts the hub again, over the same folder and at the same address. One that runs is killed for that.
    ///
    /// # Errors
    /// When it does not answer soon.
    pub fn restart(&mut self) -> Result<()> {
        self.kill()?;
        let said_before = self.log().len();
        let place = format!("folder = '{}'\nlisten = '{}'\n", self.folder().display(), self.address);
        let open = self.folder.path().join("open.cedar");
        fs::write(&open, "permit (principal, action, resource);")?;
        // Stories about something else need not log in.
        let access = if self.settings.contains("[access]") {
            String::new()
        } else {
            format!("[access]\npolicies = ['{}']\n", open.display())
        };
        fs::write(self.configuration(), format!("{place}{}\n{access}", self.settings))?;
        let log = fs::File::options().create(true).append(true).open(self.folder.path().join("log"))?;
        let mut command = self.command();
        let command = command.arg("serve").stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.child = Some(command.spawn()?);
        let begin = Instant::now();
        while !self.log()[said_before..].contains("the hub answers") {
            let ended = self.child.as_mut().is_none_or(|child| !matches!(child.try_wait(), Ok(None)));
            if ended || begin.elapsed() > PATIENCE {
                bail!("the hub did not come up:\n{}", self.log());
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Kills the hub in the middle of whatever it does.
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

    /// Lets the hub end as it is meant to, and waits for that.
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

    /// The process of the hub.
    ///
    /// # Errors
    /// When none was started.
    pub fn process(&self) -> Result<u32> {
        Ok(self.child.as_ref().context("no hub runs")?.id())
    }

    /// Runs `l3af-hub` with the configuration of this hub, which may run or not.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn administer(&self, arguments: &[&str]) -> Result<Ran> {
        Ok(self.command().args(arguments).output()?.into())
    }

    /// Adds a publisher whose namespace is an ordinary registry: any tags, no packages, no review.
    ///
    /// # Errors
    /// When the hub refuses.
    pub fn add_registry(&self, publisher: &str) -> Result<()> {
        self.administer(&["publisher", "add", publisher, "--registry-only"])?.success().map(drop)
    }

    /// Adds a publisher of packages.
    ///
    /// # Errors
    /// When the hub refuses.
    pub fn add_publisher(&self, publisher: &str) -> Result<()> {
        self.administer(&["publisher", "add", publisher])?.success().map(drop)
    }

    /// A request to this hub, for a path such as `/v2/`, which is sent as it is.
    pub fn ask(&self, method: &str, path: &str) -> Ask {
        Ask::new(self.address, self.namespace.clone(), method, path)
    }

    /// Pushes to a repository of this hub, which may go down meanwhile.
    pub fn pusher(&self, repository: &str) -> Pusher {
        Pusher::new(self.ask("GET", ""), repository)
    }

    /// Reads a path.
    ///
    /// # Errors
    /// When the hub does not answer.
    pub fn get(&self, path: &str) -> Result<Reply> {
        self.ask("GET", path).send()
    }

    /// Where it listens: `127.1.2.3:8520`. It is the same after a restart.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it is: `http://127.1.2.3:8520`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A reference to something in it, without `oci://`.
    pub fn reference(&self, rest: &str) -> String {
        format!("{}/{rest}", self.address)
    }

    /// Where it keeps everything.
    pub fn folder(&self) -> PathBuf {
        self.state.clone()
    }

    /// The file of its configuration.
    pub fn configuration(&self) -> PathBuf {
        self.folder.path().join("hub.toml")
    }

    /// What the hub said so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
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
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn command(&self) -> Command {
        let executable = &self.program;
        let mut command = match &self.namespace {
            Some(namespace) => {
                let mut entering = Command::new("nsenter");
                entering.arg(format!("--net=/run/netns/{namespace}")).arg(executable);
                entering
            }
            None => Command::new(executable),
        };
        command.arg("--config").arg(self.configuration());
        command
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        drop(self.kill());
    }
}

/// An address of this machine that no other hub of any story has. So its port can be the same whenever it starts again.
fn own_address() -> Ipv4Addr {
    static NEXT: AtomicU8 = AtomicU8::new(0);
    let [.., high, low] = std::process::id().to_be_bytes();
    // 127.0.0.0/24 is left to others.
    Ipv4Addr::new(127, 1 + NEXT.fetch_add(1, Ordering::Relaxed) % 254, high, low)
}
