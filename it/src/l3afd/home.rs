// SPDX-License-Identifier: Apache-2.0
//! A home for a daemon whose pins have fixed paths: a mount namespace with a bpffs of its own, in a network namespace.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{fs, thread};

use anyhow::{Context, Result, bail};

use crate::{Side, run};

/// The namespaces, held by a process that does nothing else.
#[derive(Debug)]
pub(super) struct Home {
    holder: Child,
}

impl Home {
    /// Makes one on a side of a pair.
    pub(super) fn new(side: &Side) -> Result<Self> {
        // It says when it is ready, and then waits for the end of what it reads.
        let script = "mount -t bpf bpf /sys/fs/bpf && echo ready && exec cat";
        let holder = Command::new("nsenter")
            .arg(format!("--net=/run/netns/{}", side.namespace))
            .args(["unshare", "--mount", "--propagation", "private", "sh", "-c", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut home = Self { holder };
        let mut line = String::new();
        let said = home.holder.stdout.take().context("it has a pipe")?;
        BufReader::new(said).read_line(&mut line)?;
        if line != "ready\n" {
            bail!("no bpffs can be mounted in a namespace of its own");
        }
        Ok(home)
    }

    /// A command that runs here. It replaces the one that enters, so its process is the one of the child.
    pub(super) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--target={}", self.holder.id())).args(["--mount", "--net"]).arg(program);
        command.stdin(Stdio::null());
        command
    }

    /// What runs here, but for the holder.
    pub(super) fn processes(&self) -> Result<Vec<u32>> {
        let namespace = |pid: u32| Some(fs::metadata(format!("/proc/{pid}/ns/mnt")).ok()?.ino());
        let own = namespace(self.holder.id()).context("the home is gone")?;
        let all = fs::read_dir("/proc")?
            .filter_map(|entry| entry.ok()?.file_name().to_string_lossy().parse::<u32>().ok());
        Ok(all.filter(|pid| *pid != self.holder.id() && namespace(*pid) == Some(own)).collect())
    }

    /// Kills what runs here, until nothing does.
    pub(super) fn clear(&self) {
        let begin = Instant::now();
        while let Ok(processes) = self.processes()
            && !processes.is_empty()
            && begin.elapsed() < Duration::from_secs(10)
        {
            for pid in processes {
                // Whoever ended meanwhile cannot be killed.
                drop(run(&format!("kill -KILL {pid}")));
            }
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        drop(self.holder.kill());
        drop(self.holder.wait());
    }
}

/// Whether a process runs. One that nobody buried does not.
pub(super) fn runs(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The state is behind the name, which may have blanks (proc(5)).
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}
