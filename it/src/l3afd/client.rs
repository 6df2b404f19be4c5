// SPDX-License-Identifier: Apache-2.0
//! What a client of l3afd v1 does: it speaks HTTP to three ports, sends packets, and looks at interfaces.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{fs, thread};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::Site;
use crate::Ran;

pub(super) const REST: &str = "127.0.0.1:7080";
pub(super) const METRICS: &str = "127.0.0.1:8898";
const DEBUG: &str = "127.0.0.1:8899";

/// What the suite has as its limit: changes wait for downloads, loads and one-shot user programs.
const LIMIT_SECONDS: &str = "120";

/// An answer of HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// 0 when the connection ended before there was one.
    pub status: u16,
    /// As it came.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body, as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Site {
    /// Reads a path of the interface for clients, such as `/l3af/configs/v1/ibpfbr`.
    ///
    /// # Errors
    /// When `curl` cannot be run, or nobody answers.
    pub fn get(&self, path: &str) -> Result<Answer> {
        self.curl(REST, path, &[], None)
    }

    /// Sends a body to a path by POST.
    ///
    /// # Errors
    /// When `curl` cannot be run, or nobody answers.
    pub fn post(&self, path: &str, body: &str) -> Result<Answer> {
        self.curl(REST, path, &["-X", "POST"], Some(body))
    }

    /// Sends a body to a path by PUT. An answer need not come: a daemon that restarts may hang up.
    ///
    /// # Errors
    /// When `curl` cannot be run.
    pub fn put(&self, path: &str, body: &str) -> Result<Answer> {
        match self.curl(REST, path, &["-X", "PUT"], Some(body)) {
            Err(error) if error.to_string().contains("(52)") || error.to_string().contains("(56)") => {
                Ok(Answer { status: 0, body: Vec::new() })
            }
            other => other,
        }
    }

    fn curl(&self, address: &str, path: &str, options: &[&str], body: Option<&str>) -> Result<Answer> {
        let folder = tempfile::tempdir()?;
        let (sent, received) = (folder.path().join("sent"), folder.path().join("received"));
        let mut curl = Command::new("nsenter");
        curl.arg(format!("--net=/run/netns/{}", self.pair.right.namespace));
        curl.args(["curl", "-sS", "--path-as-is", "--max-time", LIMIT_SECONDS, "-w", "%{http_code}"]);
        curl.args(options).arg("-o").arg(&received);
        if let Some(body) = body {
            fs::write(&sent, body)?;
            curl.args(["-H", "Content-Type: application/json", "--data-binary"]);
            curl.arg(format!("@{}", sent.display()));
        }
        let status = Ran::from(curl.arg(format!("http://{address}{path}")).output()?).success()?;
        // Where the body is empty there is no file.
        Ok(Answer { status: status.trim().parse()?, body: fs::read(received).unwrap_or_default() })
    }

    /// All metrics, as they are exported.
    ///
    /// # Errors
    /// When nobody answers.
    pub fn metrics(&self) -> Result<String> {
        Ok(self.curl(METRICS, "/metrics", &[], None)?.text())
    }

    /// The value of the only line of metrics that has a word. The suite adds such values in a shell: they have neither
    /// a point nor an exponent.
    ///
    /// # Errors
    /// When no line has the word, or several do, or it is no such number.
    pub fn metric(&self, word: &str) -> Result<u64> {
        let metrics = self.metrics()?;
        let lines: Vec<&str> = metrics.lines().filter(|line| line.contains(word)).collect();
        let [line] = lines.as_slice() else { bail!("`{word}` is in {} lines: {lines:?}", lines.len()) };
        let value = line.rsplit(' ').next().unwrap_or_default();
        value.parse().with_context(|| format!("`{line}` does not end in a plain number"))
    }

    /// What the daemon tells whoever debugs a chain.
    ///
    /// # Errors
    /// When nobody answers, or it is no array.
    pub fn debug(&self, interface: &str) -> Result<Vec<Value>> {
        let answer = self.curl(DEBUG, &format!("/bpfs/{interface}"), &[], None)?.text();
        serde_json::from_str(&answer).with_context(|| format!("`{answer}` is no array"))
    }

    /// Asks the server at port 8080 of the daemon's side for something, so many times: most at once, each as long as
    /// a SYN that is lost would take to be sent again. Returns how many were answered.
    ///
    /// # Errors
    /// When the namespaces cannot be entered.
    pub fn load(&self, requests: usize) -> Result<usize> {
        const AT_ONCE: usize = 20;
        let address: SocketAddr = format!("{}:8080", self.pair.right.address).parse()?;
        self.pair.left.inside(move || {
            // A thread is in the namespace of the one that it comes from.
            let worker = |own: usize| {
                let share = (0..requests).skip(own).step_by(AT_ONCE).count();
                thread::spawn(move || (0..share).filter(|_| ask(address).is_ok()).count())
            };
            let workers: Vec<_> = (0..AT_ONCE).map(worker).collect();
            workers.into_iter().map(|worker| worker.join().unwrap_or_default()).sum()
        })
    }

    /// Watches an interface of the daemon's side, under a filter of pcap, while something happens again and again: until
    /// a packet was seen. Returns the lines that `tshark` writes.
    ///
    /// # Errors
    /// When nothing is seen for long, or what happens fails.
    pub fn seen_while(
        &self,
        interface: &str,
        filter: &str,
        happens: impl Fn() -> Result<()>,
    ) -> Result<Vec<String>> {
        /// As long as the suite waits.
        const LIMIT: Duration = Duration::from_secs(100);
        let mut tshark = Command::new("nsenter")
            .arg(format!("--net=/run/netns/{}", self.pair.right.namespace))
            .args(["tshark", "-n", "-l", "-c", "2", "-i", interface, "-f", filter])
            .args(["-a", &format!("duration:{}", LIMIT.as_secs())])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("`tshark` cannot be started: `cargo xtask setup` installs it")?;
        let begin = Instant::now();
        while tshark.try_wait()?.is_none() && begin.elapsed() < LIMIT {
            happens()?;
            thread::sleep(Duration::from_millis(100));
        }
        drop(tshark.kill());
        let said = Ran::from(tshark.wait_with_output()?).stdout;
        let lines: Vec<String> = said.lines().map(str::to_owned).collect();
        if lines.is_empty() {
            bail!("there is no packet at `{interface}` with `{filter}`");
        }
        Ok(lines)
    }
}

fn ask(address: SocketAddr) -> Result<()> {
    const PATIENCE: Duration = Duration::from_millis(300);
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    if answer.ends_with("here") { Ok(()) } else { bail!("`{answer}` is another answer") }
}
