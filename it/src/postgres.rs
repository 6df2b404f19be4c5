// SPDX-License-Identifier: Apache-2.0
//! Debian's PostgreSQL, as a server of one test: its files, its socket, no port.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::fs::{Gid, Uid, chown};
use tempfile::TempDir;

/// How long it may take to come up.
const PATIENCE: Duration = Duration::from_mins(1);

/// A server of PostgreSQL. It ends when it goes out of scope.
#[derive(Debug)]
pub struct Postgres {
    folder: TempDir,
    server: Child,
}

impl Postgres {
    /// Makes a cluster and serves it on a socket.
    ///
    /// # Errors
    /// When PostgreSQL is not there, or does not answer soon.
    pub fn start() -> Result<Self> {
        let programs = programs()?;
        let owner = Owner::find()?;
        let folder = tempfile::tempdir()?;
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
        let data = folder.path().join("data");
        fs::create_dir(&data)?;
        for path in [folder.path(), &data] {
            chown(path, Some(owner.uid), Some(owner.gid))?;
        }
        let mut initdb = owner.command(&programs.join("initdb"), folder.path());
        initdb.args(["--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C", "--pgdata"]).arg(&data);
        let made = initdb.output().context("`initdb` cannot be started")?;
        if !made.status.success() {
            bail!("`initdb` failed:\n{}", String::from_utf8_lossy(&made.stderr));
        }
        let log = fs::File::create(folder.path().join("log"))?;
        let mut serve = owner.command(&programs.join("postgres"), folder.path());
        // Nothing is listened for but the socket.
        serve.arg("-D").arg(&data).arg("-k").arg(folder.path()).args(["-c", "listen_addresses="]);
        let server = serve.stdout(Stdio::null()).stderr(log).spawn()?;
        let mut postgres = Self { folder, server };
        postgres.wait(&programs)?;
        Ok(postgres)
    }

    fn wait(&mut self, programs: &Path) -> Result<()> {
        let begin = Instant::now();
        loop {
            let mut ask = Command::new(programs.join("pg_isready"));
            if ask.arg("-q").arg("-h").arg(self.folder.path()).status()?.success() {
                return Ok(());
            }
            if self.server.try_wait()?.is_some() || begin.elapsed() > PATIENCE {
                let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
                bail!("PostgreSQL did not come up:\n{log}");
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// The address of its database `postgres`.
    pub fn url(&self) -> String {
        format!("postgres://postgres@localhost/postgres?host={}", self.folder.path().display())
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        drop(self.server.kill());
        drop(self.server.wait());
    }
}

/// Whom PostgreSQL runs as: it refuses root.
struct Owner {
    uid: Uid,
    gid: Gid,
}

impl Owner {
    /// The user that Debian's package makes.
    fn find() -> Result<Self> {
        let users = fs::read_to_string("/etc/passwd")?;
        let line = users.lines().find(|line| line.starts_with("postgres:"));
        let fields: Vec<&str> = line.context("there is no user `postgres`")?.split(':').collect();
        let number = |at: usize| -> Result<u32> { Ok(fields.get(at).context("a short line")?.parse()?) };
        Ok(Self { uid: Uid::from_raw(number(2)?), gid: Gid::from_raw(number(3)?) })
    }

    fn command(&self, program: &Path, folder: &Path) -> Command {
        let mut command = Command::new(program);
        command.uid(self.uid.as_raw()).gid(self.gid.as_raw()).current_dir(folder).stdin(Stdio::null());
        command
    }
}

/// The folder of the newest version's programs.
fn programs() -> Result<PathBuf> {
    let versions =
        fs::read_dir("/usr/lib/postgresql").context("PostgreSQL is missing: `cargo xtask setup`")?;
    let mut found: Vec<(u32, PathBuf)> = Vec::new();
    for version in versions {
        let version = version?;
        let programs = version.path().join("bin");
        if let (Ok(number), true) =
            (version.file_name().to_string_lossy().parse(), programs.join("postgres").exists())
        {
            found.push((number, programs));
        }
    }
    found.into_iter().max().map(|(_, programs)| programs).context("no version of PostgreSQL has a server")
}
