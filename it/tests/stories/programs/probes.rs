// SPDX-License-Identifier: Apache-2.0
//! The packages of probes: what they tell is what happens.
//!
//! Kinds that the kernel of this machine refuses, or was built without, are tried in a guest (`cargo xtask vm`).

mod disk_latency;
mod exec_guard;
mod exec_watch;
mod file_opens;
mod name_lookups;
mod oom_kills;
mod tcp_retransmits;

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use ::package::KernelVersion;
use it::{Node, repository};
use serde_json::Value;

use crate::{is_emulated, packages};

/// How long to wait for what must happen.
const PATIENCE: Duration = Duration::from_mins(1);

/// A package. In a guest it is that of the machine that boots it: compiling takes long there.
fn package(name: &str) -> String {
    let found = if is_emulated() { packages().built_before(name) } else { packages().program(name) };
    found.unwrap()
}

/// A document with probes of a package: a name, a program, and more lines of TOML.
fn document(package: &str, probes: &[(&str, &str, &str)]) -> String {
    let one = |(name, program, rest): &(&str, &str, &str)| {
        format!("[[probe]]\nname = \"{name}\"\npackage = \"{package}\"\nprogram = \"{program}\"\n{rest}\n")
    };
    probes.iter().map(one).collect()
}

/// Attaches probes of a package, where the kernel has their kinds since some release; where it has not, that is told.
#[track_caller]
fn attach(node: &Node, since: (u16, u16), package: &str, probes: &[(&str, &str, &str)]) -> bool {
    let applied = node.apply(&document(package, probes)).unwrap();
    let is_new_enough = crate::kernel() >= KernelVersion { major: since.0, minor: since.1 };
    let words: &[&str] = match (is_new_enough, is_emulated()) {
        (false, _) => &["needs Linux"],
        (true, false) => &["Operation not permitted", "was built without"],
        (true, true) => &[],
    };
    let is_told = words.iter().any(|word| applied.stderr.contains(word));
    assert!(applied.ok && is_new_enough || is_told, "{}", applied.stderr);
    applied.ok
}

/// Waits until no other story watches all of the machine, or does so much that a node which does misses something.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The events of a probe, from the oldest that nobody read.
struct Events {
    child: Child,
    lines: Receiver<String>,
}

impl Events {
    fn of(node: &Node, probe: &str, map: &str) -> Self {
        let mut command = Command::new(it::binary("l3af").unwrap());
        command.arg("--socket").arg(node.socket()).args(["watch", probe, map, "--json"]);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let read = BufReader::new(child.stdout.take().unwrap()).lines();
        let (tell, lines) = mpsc::channel();
        thread::spawn(move || read.map_while(Result::ok).for_each(|line| drop(tell.send(line))));
        Self { child, lines }
    }

    /// The next one that is so.
    #[track_caller]
    fn next(&self, is_it: impl Fn(&Value) -> bool) -> Value {
        let begin = Instant::now();
        let mut last = String::new();
        while let Some(left) = PATIENCE.checked_sub(begin.elapsed()) {
            let Ok(line) = self.lines.recv_timeout(left) else { break };
            let event = serde_json::from_str::<Value>(&line).unwrap()["event"].take();
            if is_it(&event) {
                return event;
            }
            last = line;
        }
        panic!("no such event is told; the last one was {last}");
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The value of a metric that is told in these words, up to the space in front of it; nothing where it is not told.
fn metric(node: &Node, words: &str) -> Option<u64> {
    let line = format!("curl -s --unix-socket {} http://l3afd/metrics", node.socket().display());
    let told = it::run(&line).unwrap();
    let mut samples = told.lines().filter_map(|line| line.strip_prefix(words));
    samples.find_map(|rest| rest.trim().parse().ok())
}

/// The Python of the tests.
fn python() -> PathBuf {
    let python = repository().join("target/python/bin/python");
    assert!(python.exists(), "`cargo xtask python` makes `target/python`");
    python
}

/// Says that a reader of others reads all metrics.
#[track_caller]
fn assert_readable(node: &Node) {
    let read = "import sys; from prometheus_client.openmetrics import parser; list(parser.text_fd_to_metric_families(sys.stdin))";
    let (socket, python) = (node.socket(), python());
    let told = format!("curl -s --unix-socket {} http://l3afd/metrics", socket.display());
    let line = format!("set -o pipefail; {told} | {} -c '{read}'", python.display());
    let ran = Command::new("bash").args(["-c", &line]).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
}

/// Leaves no room in maps of a probe: in tables for another key, in buffers for another event. Buffers are not read after that.
#[track_caller]
fn fill(node: &Node, probe: &str, maps: &[&str]) {
    let pins = maps.iter().map(|map| node.probe_map(probe, map).unwrap());
    let ran = Command::new(python()).arg(repository().join("it/python/fill.py")).args(pins).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
}

/// Waits until a metric is at least so much.
#[track_caller]
fn wait_for_metric(node: &Node, words: &str, least: u64) {
    node.wait(words, || metric(node, words).is_some_and(|value| value >= least));
}

/// Says that a document is refused with these words.
#[track_caller]
fn assert_refused(node: &Node, document: &str, words: &str) {
    let applied = node.apply(document).unwrap();
    assert!(!applied.ok && applied.stderr.contains(words), "{words}: {}", applied.stderr);
}

/// The number of a file, which is also that of a control group and of a namespace.
fn inode(path: impl AsRef<Path>) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata(path).unwrap().ino()
}
