// SPDX-License-Identifier: Apache-2.0
//! What a daemon with a thousand members takes: to apply and to adopt them, and at rest.

use std::fmt::Write;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use it::{Node, Packages, Pair, run_in};
use serde_json::{Value, json};

use super::Options;

/// Of each pair of interfaces both ends have a chain.
const CABLES: usize = 50;
/// In each chain: half of each package.
const MEMBERS: usize = 10;
/// After what was applied, until the daemon is at rest; and how long it is watched then.
const SETTLING: Duration = Duration::from_secs(5);
/// The unit of times in `/proc/<pid>/stat` (`USER_HZ`, the same on all of Linux that has x86-64 or arm64).
const TICKS_PER_SECOND: f64 = 100.0;

pub(super) fn run(options: &Options) -> Result<()> {
    let (pair, packages) = (Pair::new()?, Packages::build()?);
    let names = interfaces(&pair)?;
    let mut node = Node::start(&pair.right, &packages.policy())?;
    // As it is out of the box.
    node.poll_seconds = 2;
    node.restart()?;
    let document = document(&packages, &names)?;
    let begin = Instant::now();
    node.apply(&document)?.success()?;
    let apply = milliseconds(begin);
    let begin = Instant::now();
    node.restart()?;
    let adopt = milliseconds(begin);
    let members: usize =
        node.chains()?.iter().filter(|chain| chain.attached).map(|chain| chain.members.len()).sum();
    thread::sleep(SETTLING);
    let (process, rest) = (node.process()?, Duration::from_secs(options.rounds.unwrap_or(30) as u64));
    let before = busy_seconds(process)?;
    let begin = Instant::now();
    thread::sleep(rest);
    let share = (busy_seconds(process)? - before) / begin.elapsed().as_secs_f64();
    let told = json!({
        "members": members,
        "rss_mib": resident_mib(process)?,
        "cpu_pct": share * 100.0,
        "apply_1000_ms": apply,
        "adopt_1000_ms": adopt,
    });
    let begin = Instant::now();
    node.l3af(&["stop", "--all"])?;
    tell(options, &told, milliseconds(begin));
    Ok(())
}

/// Cables whose two ends are in the namespace of the daemon.
fn interfaces(pair: &Pair) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for number in 0..CABLES {
        let ends = [format!("a{number}"), format!("b{number}")];
        run_in(&pair.right.namespace, &format!("ip link add {} type veth peer name {}", ends[0], ends[1]))?;
        for end in ends {
            run_in(&pair.right.namespace, &format!("ip link set {end} up"))?;
            names.push(end);
        }
    }
    Ok(names)
}

fn document(packages: &Packages, interfaces: &[String]) -> Result<String> {
    let mut document = String::new();
    for interface in interfaces {
        writeln!(document, "[[chain]]\ninterface = \"{interface}\"\nhook = \"xdp\"")?;
        for number in 0..MEMBERS {
            let package = packages.path(["sanity", "ratelimit"][number % 2]);
            writeln!(document, "[[chain.member]]\nname = \"m{number}\"\npackage = \"{package}\"")?;
        }
    }
    Ok(document)
}

#[expect(clippy::print_stdout, reason = "this is the data")]
fn tell(options: &Options, told: &Value, removed_ms: f64) {
    if options.json {
        println!("{told}");
        return;
    }
    let number = |name: &str| told[name].as_f64().unwrap_or_default();
    println!("members, on {} interfaces               {}", 2 * CABLES, told["members"]);
    println!("memory of the daemon                 {:>9.1} MiB", number("rss_mib"));
    println!("time of processors at rest           {:>9.2} % of one", number("cpu_pct"));
    println!("applied in                           {:>9.0} ms", number("apply_1000_ms"));
    println!("adopted by a new daemon in           {removed:>9.0} ms", removed = number("adopt_1000_ms"));
    println!("taken off in                         {removed_ms:>9.0} ms");
}

/// The time of processors that a process took (`proc_pid_stat(5)`, fields 14 and 15).
fn busy_seconds(process: u32) -> Result<f64> {
    let text = fs::read_to_string(format!("/proc/{process}/stat"))?;
    let (_, fields) = text.rsplit_once(") ").context("no name in /proc/<pid>/stat")?;
    let ticks = fields.split(' ').skip(11).take(2).map(str::parse::<f64>);
    Ok(ticks.sum::<Result<f64, _>>()? / TICKS_PER_SECOND)
}

/// What a process has in memory (`VmRSS` of `proc_pid_status(5)`).
fn resident_mib(process: u32) -> Result<f64> {
    let text = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no `VmRSS`")?;
    let kibibytes: f64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kibibytes / 1024.0)
}

fn milliseconds(begin: Instant) -> f64 {
    begin.elapsed().as_secs_f64() * 1000.0
}
