// SPDX-License-Identifier: Apache-2.0
//! A daemon that is killed in the middle of what it does: before one of its system calls, by strace(1), which sends the signal
//! where the call is about to begin.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use package::MemberName;

use crate::{Node, Packages, repository, run, specimen};

/// How long a daemon may take to be gone.
const PATIENCE: Duration = Duration::from_secs(30);

/// The calls that something may be left half done between: of eBPF, and those that change files or make them last.
/// Each is counted for itself.
const CALLS: [&str; 5] =
    ["bpf", "fsync,fdatasync", "rename,renameat,renameat2", "unlink,unlinkat,rmdir", "mkdir,mkdirat"];

/// What came of it.
#[derive(Debug, Default)]
pub struct Kills {
    /// How often a document was applied.
    pub runs: usize,
    /// Before which calls the daemon was killed, and how often.
    pub killed: BTreeMap<String, usize>,
    /// How often what was in force before was in force again.
    pub before: usize,
    /// How often what was asked for was in force.
    pub after: usize,
}

impl Kills {
    /// How often the daemon was killed.
    pub fn count(&self) -> usize {
        self.killed.values().sum()
    }
}

/// What is true while a document is in force.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Truth {
    /// The members of each chain, with their packages.
    chains: BTreeMap<String, Vec<String>>,
    /// All that is pinned, without serial numbers.
    pins: BTreeSet<String>,
}

impl Truth {
    fn of(node: &Node) -> Result<Self> {
        let chains = node.chains()?.into_iter().map(|chain| {
            let members = chain.members.iter().map(|member| format!("{} {}", member.name, member.package));
            (format!("{}/{} attached: {}", chain.interface, chain.hook, chain.attached), members.collect())
        });
        let mut pins = BTreeSet::new();
        list(&node.pins, Path::new(""), &mut pins)?;
        Ok(Self { chains: chains.collect(), pins })
    }
}

/// Lists what is in a folder, with all that is in it.
fn list(root: &Path, folder: &Path, names: &mut BTreeSet<String>) -> Result<()> {
    for entry in fs::read_dir(root.join(folder))? {
        let entry = entry?;
        let path = folder.join(entry.file_name());
        names.insert(without_serials(&path));
        if entry.file_type()?.is_dir() {
            list(root, &path, names)?;
        }
    }
    Ok(())
}

/// `guard#12/next` as `guard#/next`. Digests stay.
fn without_serials(path: &Path) -> String {
    let parts = path.iter().map(|part| {
        let part = part.to_string_lossy();
        match part.split_once('#') {
            Some((name, serial)) if serial.parse::<u64>().is_ok() => format!("{name}#"),
            Some(_) | None => part.into_owned(),
        }
    });
    parts.collect::<Vec<_>>().join("/")
}

/// Documents that differ in all that a plan changes: members that come, go, move and are upgraded, at one hook and at several. In each
/// of them the first chain has a member `guard` that drops pings.
///
/// # Errors
/// When packages cannot be built.
pub fn documents(packages: &Packages) -> Result<[String; 3]> {
    let pings = specimen("no_ping")?.object;
    // Of two names: a node takes no lower version of a package again.
    let guard = |name| packages.from_object((name, "1.0.0"), &pings, "no_ping", "xdp");
    let small = fs::read(repository().join("crates/package/testdata/small.bpf.o"))?;
    let passes = |hook| packages.from_object(("passes", "1.0.0"), &small, "outgoing", hook);
    let (old, new) = (guard("guard")?, guard("other-guard")?);
    let (received, sent) = (passes("tc-ingress")?, passes("tc-egress")?);
    let (sanity, ratelimit) = (packages.path("sanity"), packages.path("ratelimit"));
    let chain = |hook: &str, members: &[(&str, &str)]| -> Result<String> {
        let members = members.iter().map(|(name, package)| {
            let name: MemberName = name.parse()?;
            Ok(format!("{{ name = \"{name}\", package = \"{package}\" }}"))
        });
        let members = members.collect::<Result<Vec<_>>>()?.join(", ");
        Ok(format!("[[chain]]\ninterface = \"right0\"\nhook = \"{hook}\"\nmember = [{members}]\n"))
    };
    Ok([
        chain("xdp", &[("guard", &old), ("sanity", &sanity)])? + &chain("tc-ingress", &[("in", &received)])?,
        chain("xdp", &[("guard", &old), ("ratelimit", &ratelimit), ("sanity", &sanity)])?
            + &chain("tc-ingress", &[("first", &received), ("in", &received)])?
            + &chain("tc-egress", &[("out", &sent)])?,
        chain("xdp", &[("sanity", &sanity), ("guard", &new)])?,
    ])
}

/// Applies documents in turn, and kills the daemon meanwhile: before the first of its calls of a kind, then before the one that comes
/// `stride` calls later, and so on until it survives; so for each kind; then goes on to the next document, until there were so many runs. After each the
/// daemon is started again, and must have one of the two documents in force, whole, with nothing besides.
///
/// # Errors
/// When it has not, or cannot be started.
pub fn kill_through(node: &mut Node, documents: &[String], runs: usize, stride: usize) -> Result<Kills> {
    let mut truths = Vec::new();
    for document in documents {
        node.apply(document)?.success()?;
        truths.push(Truth::of(node)?);
    }
    let mut course = Course { node, documents, truths, runs, kills: Kills::default() };
    // A later round begins at another call, so that strides meet in the end.
    for first in (1..=stride).cycle() {
        for (next, document) in documents.iter().enumerate() {
            for calls in CALLS {
                course.kill_before_each(calls, (first..).step_by(stride), next)?;
            }
            if course.kills.runs >= runs {
                return Ok(course.kills);
            }
            course.node.apply(document)?.success()?;
        }
    }
    Ok(course.kills)
}

/// Documents in turn, each with what is true under it.
struct Course<'a> {
    node: &'a mut Node,
    documents: &'a [String],
    truths: Vec<Truth>,
    /// How many there are to be.
    runs: usize,
    kills: Kills,
}

impl Course<'_> {
    /// Kills before calls of these numbers, one after the other, until the daemon survives.
    fn kill_before_each(
        &mut self,
        calls: &str,
        numbers: impl Iterator<Item = usize>,
        next: usize,
    ) -> Result<()> {
        for number in numbers {
            if self.kills.runs >= self.runs || !self.kill_before((calls, number), next)? {
                break;
            }
        }
        Ok(())
    }

    /// Applies a document where the one before it is in force, kills the daemon before a call, and looks what is in force
    /// then; the one before is again at the end. Returns whether it was killed.
    fn kill_before(&mut self, call: (&str, usize), next: usize) -> Result<bool> {
        let at = next.checked_sub(1).unwrap_or(self.documents.len() - 1);
        let applied = apply_and_kill(self.node, &self.documents[next], call)
            .with_context(|| format!("killed before call {call:?} of document {next}"))?;
        let truth = Truth::of(self.node)?;
        let is_after = truth == self.truths[next];
        ensure!(
            is_after || !applied.acknowledged && truth == self.truths[at],
            "after it was killed before call {call:?} of document {next}, it has neither document whole:\n{truth:#?}\n\
             and not\n{:#?}\nnor\n{:#?}\n{}",
            self.truths[at],
            self.truths[next],
            self.node.log()
        );
        self.kills.runs += 1;
        self.kills.before += usize::from(!is_after);
        self.kills.after += usize::from(is_after);
        if is_after {
            self.node.apply(&self.documents[at])?.success()?;
        }
        let Some(killed) = applied.killed_before else { return Ok(false) };
        *self.kills.killed.entry(killed).or_default() += 1;
        Ok(true)
    }
}

/// How a document was applied.
struct Applied {
    /// Whether the daemon said that it has it.
    acknowledged: bool,
    /// The call before which the daemon was killed; none where it lives on.
    killed_before: Option<String>,
}

/// Applies a document and kills the daemon before the call of this number, on whichever thread makes so many. A daemon that was
/// killed is started again.
fn apply_and_kill(node: &mut Node, document: &str, call: (&str, usize)) -> Result<Applied> {
    let mut tracer = Tracer::attach(node.process()?, call)?;
    let ran = node.apply(document)?;
    let begin = Instant::now();
    // It breaks the connection before it is gone.
    while !ran.ok && node.runs()? {
        ensure!(begin.elapsed() < PATIENCE, "the daemon lives, and refuses: {}", ran.stderr);
        thread::sleep(Duration::from_millis(1));
    }
    let last_call = tracer.detach()?;
    let killed_before = if node.runs()? { None } else { Some(last_call) };
    if killed_before.is_some() {
        node.restart()?;
    }
    Ok(Applied { acknowledged: ran.ok, killed_before })
}

/// strace(1) on a process.
struct Tracer {
    child: Child,
    heard: PathBuf,
    _folder: tempfile::TempDir,
}

impl Tracer {
    fn attach(process: u32, (calls, number): (&str, usize)) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let heard = folder.path().join("calls");
        let mut child = Command::new("strace")
            .args(["-f", "-s", "0", "-e", &format!("trace={calls}")])
            .args(["-e", &format!("inject={calls}:signal=SIGKILL:when={number}")])
            .args(["-o", &heard.to_string_lossy(), "-p", &process.to_string()])
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot run `strace`")?;
        let stderr = child.stderr.take().context("strace has no standard error")?;
        let line = BufReader::new(stderr).lines().next().context("strace says nothing")??;
        if !line.contains("attached") {
            bail!("strace does not attach: {line}");
        }
        Ok(Self { child, heard, _folder: folder })
    }

    /// Leaves the process alone, if it is there still. Returns the last call that was heard: what it was killed before, if it was.
    fn detach(&mut self) -> Result<String> {
        if self.child.try_wait()?.is_none() {
            // It may be gone by now.
            drop(run(&format!("kill -INT {}", self.child.id())));
        }
        self.child.wait()?;
        let heard = fs::read_to_string(&self.heard)?;
        // `<process> bpf(BPF_OBJ_PIN, …`; other threads die in what they do as well.
        let calls = heard.lines().filter_map(|line| line.split_once(' ')).map(|(_, call)| call.trim_start());
        let mut calls = calls.filter(|call| call.contains('(') && !call.starts_with("+++"));
        let Some((name, rest)) = calls.next_back().and_then(|call| call.split_once('(')) else {
            return Ok("none".to_owned());
        };
        let command = rest.split([',', ' ', ')']).next().unwrap_or_default();
        Ok(if name == "bpf" { format!("{name} {command}") } else { name.to_owned() })
    }
}
