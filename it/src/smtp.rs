// SPDX-License-Identifier: Apache-2.0
//! A server of mail (`aiosmtpd`), which `cargo xtask python` installs.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use tempfile::TempDir;

use crate::{Authority, repository};

/// How long it may take to come up, and a letter to come.
const PATIENCE: Duration = Duration::from_mins(1);
/// Until the end of which year its certificate counts.
const UNTIL: i32 = 2099;
/// The login that it lets in.
const LOGIN: (&str, &str) = ("hub", "a password of this test");

/// A server of mail. It ends when it goes out of scope.
#[derive(Debug)]
pub struct Smtp {
    folder: TempDir,
    server: Child,
    mode: &'static str,
    port: u16,
}

impl Smtp {
    /// Serves on a port of this machine that is free. `mode` is what a hub's configuration calls `tls`; with TLS it has to log in.
    ///
    /// # Errors
    /// When it is not installed, or does not answer soon.
    pub fn start(mode: &'static str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let authority = Authority::new()?;
        let identity = authority.sign("mail", &["localhost"], UNTIL)?;
        fs::copy(identity.certificate, folder.path().join("certificate"))?;
        fs::copy(identity.key, folder.path().join("key"))?;
        fs::write(folder.path().join("authority"), authority.pem())?;
        fs::write(folder.path().join("login"), format!("{}\n{}\n", LOGIN.0, LOGIN.1))?;
        fs::write(folder.path().join("password"), LOGIN.1)?;
        let log = fs::File::create(folder.path().join("log"))?;
        let mut server = Command::new(repository().join("target/python/bin/python"))
            .arg(repository().join("it/python/smtp_server.py"))
            .arg(folder.path())
            .arg(mode)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .context("`aiosmtpd` cannot be started: `cargo xtask python` installs it")?;
        let begin = Instant::now();
        loop {
            if let Ok(port) = fs::read_to_string(folder.path().join("port")) {
                let port = port.trim().parse()?;
                return Ok(Self { folder, server, mode, port });
            }
            if server.try_wait()?.is_some() || begin.elapsed() > PATIENCE {
                drop(server.kill());
                bail!(
                    "the server of mail did not come up:\n{}",
                    fs::read_to_string(folder.path().join("log"))?
                );
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// The part of a hub's configuration that leads here.
    pub fn configuration(&self) -> String {
        let path = |name: &str| self.folder.path().join(name).display().to_string();
        let place = format!(
            "[mail]\nserver = \"localhost\"\nport = {}\ntls = \"{}\"\nfrom = \"Packages <hub@example.org>\"\n",
            self.port, self.mode
        );
        if self.mode == "none" {
            return place;
        }
        let (user, password, authority) = (LOGIN.0, path("password"), path("authority"));
        format!("{place}user = \"{user}\"\npassword_file = \"{password}\"\nca_file = \"{authority}\"\n")
    }

    /// From now on it answers each letter with this, or takes them again.
    ///
    /// # Errors
    /// When it cannot be told.
    pub fn refuse(&self, answer: Option<&str>) -> Result<()> {
        let path = self.folder.path().join("refuse");
        match answer {
            Some(answer) => Ok(fs::write(path, answer)?),
            None => Ok(fs::remove_file(path)?),
        }
    }

    /// All letters that came, in their order.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn letters(&self) -> Result<Vec<Value>> {
        let text = fs::read_to_string(self.folder.path().join("letters")).unwrap_or_default();
        // A line that is not whole has no end.
        let whole = text.rsplit_once('\n').map(|(whole, _)| whole).unwrap_or_default();
        whole.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
    }

    /// Waits for a letter to somebody in which there is a text, and returns what stands in it.
    ///
    /// # Errors
    /// When none comes.
    pub fn wait_for(&self, recipient: &str, text: &str) -> Result<String> {
        let begin = Instant::now();
        loop {
            let letters = self.letters()?;
            let found = letters.iter().find_map(|letter| {
                let said = letter["text"].as_str()?;
                (letter["to"][0] == recipient && said.contains(text)).then(|| said.to_owned())
            });
            if let Some(found) = found {
                return Ok(found);
            }
            if begin.elapsed() > PATIENCE {
                bail!("no letter to {recipient} says `{text}`: {letters:#?}");
            }
            thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Smtp {
    fn drop(&mut self) {
        drop(self.server.kill());
        drop(self.server.wait());
    }
}
