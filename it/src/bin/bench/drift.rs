// SPDX-License-Identifier: Apache-2.0
//! How long a daemon takes to attach a chain again that somebody detached.
//!
//! The time counts from before the foreign command is started, so that what it takes itself is in it, until the daemon says that it
//! has repaired the chain. The daemon compares by itself only once in an hour: what is repaired was heard.

use std::fmt::Write;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use it::{Node, Packages, Pair};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::Options;

/// Between two rounds.
const PAUSE: Duration = Duration::from_millis(500);
/// How many members the chain has: half of each package.
const MEMBERS: usize = 10;

pub(super) fn run(options: &Options) -> Result<()> {
    let (pair, packages) = (Pair::new()?, Packages::build()?);
    let mut node = Node::start(&pair.right, &packages.policy())?;
    node.poll_seconds = 3600;
    node.restart()?;
    let mut document = "[[chain]]\ninterface = \"right0\"\nhook = \"xdp\"\n".to_owned();
    for number in 0..MEMBERS {
        let package = packages.path(["sanity", "ratelimit"][number % 2]);
        writeln!(document, "[[chain.member]]\nname = \"m{number}\"\npackage = \"{package}\"")?;
    }
    node.apply(&document)?.success()?;
    let link = node.pins.join("right0/xdp/root/link");
    let (mut times, mut commands) = (Vec::new(), Vec::new());
    for round in 1..=options.rounds.unwrap_or(50) as u64 {
        // After a comparison the daemon rests for some times as long as that took.
        thread::sleep(PAUSE);
        let begin = Timestamp::now();
        it::run(&format!("bpftool link detach pinned {}", link.display()))?;
        commands.push(milliseconds(begin, Timestamp::now()));
        node.wait("it is repaired", || node.status().is_ok_and(|status| status.drifts >= round));
        let drift = node.status()?.last_drift.context("the daemon tells of no repair")?;
        times.push(milliseconds(begin, drift.at.parse()?));
    }
    times.sort_by(f64::total_cmp);
    commands.sort_by(f64::total_cmp);
    ensure!(!times.is_empty(), "there was no round");
    let (median, longest) = (times[times.len() / 2], times[times.len() - 1]);
    let command = commands[commands.len() / 2];
    let told = json!({
        "rounds": times.len(),
        "members": MEMBERS,
        "command_median_ms": command,
        "median_ms": median,
        "max_ms": longest,
    });
    tell(options, &told);
    Ok(())
}

#[expect(clippy::print_stdout, reason = "this is the data")]
fn tell(options: &Options, told: &Value) {
    if options.json {
        println!("{told}");
        return;
    }
    let number = |name: &str| told[name].as_f64().unwrap_or_default();
    println!("rounds                                       {}", told["rounds"]);
    println!("members                                      {}", told["members"]);
    println!("the foreign command, median              {:>7.1} ms", number("command_median_ms"));
    println!("from its begin until attached, median    {:>7.1} ms", number("median_ms"));
    println!("the longest                              {:>7.1} ms", number("max_ms"));
}

fn milliseconds(begin: Timestamp, end: Timestamp) -> f64 {
    end.duration_since(begin).as_secs_f64() * 1000.0
}
