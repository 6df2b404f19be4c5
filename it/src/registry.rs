// SPDX-License-Identifier: Apache-2.0
//! Debian's `docker-registry`, which knows nothing of referrers, in a namespace.

use std::fs;
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::Side;

/// A registry on the loopback interface of a namespace. It ends when it goes out of scope.
#[derive(Debug)]
pub struct DockerRegistry {
    address: String,
    child: Child,
    _storage: TempDir,
}

impl DockerRegistry {
    /// Starts one on a port. Ports of a namespace are its own.
    ///
    /// # Errors
    /// When it is not there, or does not answer soon.
    pub fn start(side: &Side, port: u16) -> Result<Self> {
        const PATIENCE: Duration = Duration::from_mins(1);
        let storage = tempfile::tempdir()?;
        let address = format!("127.0.0.1:{port}");
        let config = storage.path().join("config.yml");
        let folder = storage.path().join("storage");
        let (log, storage_driver) = ("log: {level: error}", "filesystem: {rootdirectory:");
        let text = format!(
            "version: 0.1\n{log}\nstorage: {{{storage_driver} {}}}}}\nhttp: {{addr: '{address}'}}\n",
            folder.display()
        );
        fs::write(&config, text)?;
        let mut child = Command::new("nsenter")
            .arg(format!("--net=/run/netns/{}", side.namespace))
            .args(["docker-registry", "serve"])
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(storage.path().join("log"))?)
            .spawn()
            .context("`docker-registry` cannot be started: `cargo xtask setup` installs it")?;
        let begin = Instant::now();
        loop {
            let there = address.clone();
            if side.inside(move || TcpStream::connect(there).is_ok())? {
                return Ok(Self { address, child, _storage: storage });
            }
            if child.try_wait()?.is_some() || begin.elapsed() > PATIENCE {
                drop(child.kill());
                let log = fs::read_to_string(storage.path().join("log")).unwrap_or_default();
                bail!("the registry did not come up:\n{log}");
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// A reference to something in it, without `oci://`.
    pub fn reference(&self, rest: &str) -> String {
        format!("{}/{rest}", self.address)
    }
}

impl Drop for DockerRegistry {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
