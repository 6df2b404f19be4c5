// SPDX-License-Identifier: Apache-2.0
//! A server that speaks the protocol of Amazon S3 over a folder: `s3s-fs`, which `cargo xtask setup` installs.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use tempfile::TempDir;

use crate::repository;

/// How long it may take to come up.
const PATIENCE: Duration = Duration::from_mins(1);
/// The key that it lets in.
const KEY: (&str, &str) = ("hub", "a secret of this test");
/// The one bucket that it has.
const BUCKET: &str = "packages";

/// A server with a bucket. It ends when it goes out of scope.
#[derive(Debug)]
pub struct S3 {
    folder: TempDir,
    server: Child,
    address: String,
}

impl S3 {
    /// Serves a folder on a port of this machine that is free.
    ///
    /// # Errors
    /// When it is not installed, or does not answer soon.
    pub fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        fs::create_dir_all(folder.path().join("data").join(BUCKET))?;
        fs::write(folder.path().join("secret"), KEY.1)?;
        let log = folder.path().join("log");
        let mut server = Command::new(repository().join("target/tools/bin/s3s-fs"))
            .args(["--host", "127.0.0.1", "--port", "0", "--access-key", KEY.0, "--secret-key", KEY.1])
            .arg(folder.path().join("data"))
            .env("RUST_LOG", "s3s_fs=info")
            .stdin(Stdio::null())
            .stdout(fs::File::create(&log)?)
            .stderr(Stdio::null())
            .spawn()
            .context("`s3s-fs` cannot be started: `cargo xtask setup` installs it")?;
        let begin = Instant::now();
        loop {
            let said = fs::read_to_string(&log)?;
            if let Some(address) = address_in(&said) {
                return Ok(Self { folder, server, address });
            }
            if server.try_wait()?.is_some() || begin.elapsed() > PATIENCE {
                drop(server.kill());
                bail!("`s3s-fs` did not come up:\n{said}");
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// The part of a hub's configuration that leads here.
    pub fn configuration(&self) -> String {
        let secret = self.folder.path().join("secret");
        let (id, endpoint) = (KEY.0, &self.address);
        format!(
            "[bucket]\nname = \"{BUCKET}\"\nendpoint = \"{endpoint}\"\nprefix = \"hub\"\n\
             key = {{ id = \"{id}\", secret_file = \"{}\" }}\n",
            secret.display()
        )
    }

    /// The folder whose files are the objects of the bucket.
    pub fn objects(&self) -> impl AsRef<Path> {
        self.folder.path().join("data").join(BUCKET)
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        drop(self.server.kill());
        drop(self.server.wait());
    }
}

/// Where it says that it is.
fn address_in(said: &str) -> Option<String> {
    let (_, rest) = said.split_once("running at ")?;
    let address = rest.split(|letter: char| letter.is_whitespace() || letter == ',').next()?;
    // A line that is not whole has no end.
    rest.contains('\n').then(|| address.to_owned())
}
