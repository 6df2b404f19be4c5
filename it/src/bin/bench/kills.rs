// SPDX-License-Identifier: Apache-2.0
//! How often a daemon that is killed in the middle of applying was killed before which call, and what was in force afterwards. Ends
//! with an error at the first kill that leaves anything but one of the two documents.

use anyhow::Result;
use it::{Node, Packages, Pair, documents_to_kill_through, kill_through};

use crate::Options;

/// Kills a thousand times, before every call in turn.
#[expect(clippy::print_stdout, reason = "a benchmark talks to people")]
pub(crate) fn run(options: &Options) -> Result<()> {
    let packages = Packages::build()?;
    let pair = Pair::new()?;
    let mut node = Node::start(&pair.right, &packages.policy())?;
    let documents = documents_to_kill_through(&packages)?;
    let kills = kill_through(&mut node, &documents, options.rounds.unwrap_or(1000), 1)?;
    if options.json {
        let report = serde_json::json!({
            "runs": kills.runs,
            "killed": kills.count(),
            "document_before": kills.before,
            "document_after": kills.after,
            "killed_before": kills.killed,
        });
        println!("{report}");
        return Ok(());
    }
    println!(
        "{} documents applied, the daemon killed {} times before a system call.",
        kills.runs,
        kills.count()
    );
    println!(
        "Afterwards the document before was in force {} times, the new one {} times.",
        kills.before, kills.after
    );
    println!("\n{:>6}  before", "times");
    for (call, times) in &kills.killed {
        println!("{times:>6}  {call}");
    }
    Ok(())
}
