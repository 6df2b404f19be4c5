// SPDX-License-Identifier: Apache-2.0
//! The servers that are measured: the hub as it is installed, and Debian's `docker-registry` with its cache of descriptors. They get
//! all processors but the last.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use it::repository;
use tempfile::TempDir;

/// How long one may take to come up.
const PATIENCE: Duration = Duration::from_mins(1);

/// A server that runs. It ends when it goes out of scope.
pub(super) struct Server {
    pub(super) address: String,
    folder: TempDir,
    child: Child,
}

impl Server {
    /// Starts a hub with a publisher whose namespace is an ordinary registry.
    pub(super) fn hub(publisher: &str) -> Result<Self> {
        let (folder, address) = (tempfile::tempdir()?, free_address()?);
        let state = folder.path().join("hub");
        // As the other one, it lets everybody push.
        let open = folder.path().join("open.cedar");
        let actions = r#"[Action::"pull", Action::"inspect", Action::"push", Action::"delete"]"#;
        fs::write(&open, format!("@id(\"open\")\npermit (principal, action in {actions}, resource);\n"))?;
        let access = format!("[access]\npolicies = ['{}']\n", open.display());
        let text = format!("folder = '{}'\nlisten = '{address}'\n{access}", state.display());
        fs::write(folder.path().join("hub.toml"), text)?;
        let mut add = Command::new(hub_program());
        add.arg("--config").arg(folder.path().join("hub.toml")).args([
            "publisher",
            "add",
            publisher,
            "--registry-only",
        ]);
        let added = add.output().context("the hub cannot be started")?;
        ensure!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
        let mut serve = on_the_others(&hub_program());
        serve.arg("--config").arg(folder.path().join("hub.toml")).arg("serve");
        Self::start(serve, folder, address)
    }

    /// Starts a `docker-registry` with nothing in it.
    pub(super) fn docker_registry() -> Result<Self> {
        let (folder, address) = (tempfile::tempdir()?, free_address()?);
        let state = folder.path().join("storage");
        let text = format!(
            "version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\n\
             storage: {{filesystem: {{rootdirectory: {}}}, cache: {{blobdescriptor: inmemory}}}}\n\
             http: {{addr: '{address}'}}\n",
            state.display()
        );
        fs::write(folder.path().join("config.yml"), text)?;
        let mut serve = on_the_others(Path::new("docker-registry"));
        serve.arg("serve").arg(folder.path().join("config.yml"));
        Self::start(serve, folder, address)
    }

    fn start(mut serve: Command, folder: TempDir, address: String) -> Result<Self> {
        let log = fs::File::create(folder.path().join("log"))?;
        let child = serve.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn();
        let mut server = Self { address, folder, child: child.context("a server cannot be started")? };
        let begin = Instant::now();
        while TcpStream::connect(&server.address).is_err() {
            if server.child.try_wait()?.is_some() || begin.elapsed() > PATIENCE {
                let log = fs::read_to_string(server.folder.path().join("log")).unwrap_or_default();
                bail!("a server did not come up:\n{log}");
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(server)
    }

    /// What it has in memory, and the most that it had (`VmRSS` and `VmHWM` of `proc_pid_status(5)`), in MiB.
    pub(super) fn memory_mib(&self) -> Result<(f64, f64)> {
        let text = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let field = |name: &str| -> Result<f64> {
            let line = text.lines().find_map(|line| line.strip_prefix(name)).context("no such line")?;
            Ok(line.trim_start_matches(':').trim().trim_end_matches(" kB").parse::<f64>()? / 1024.0)
        };
        Ok((field("VmRSS")?, field("VmHWM")?))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The program that `cargo xtask bench hub` built as it is released.
pub(super) fn hub_program() -> PathBuf {
    repository().join("target/release/l3af-hub")
}

/// A command for all processors but the last, which clients have.
fn on_the_others(program: &Path) -> Command {
    let processors = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let last_of_servers = processors.saturating_sub(2);
    let mut command = Command::new("taskset");
    command.arg("--cpu-list").arg(format!("0-{last_of_servers}")).arg(program);
    command
}

/// An address of this machine with a port that nobody has.
fn free_address() -> Result<String> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string())
}
