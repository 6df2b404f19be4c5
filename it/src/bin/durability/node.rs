// SPDX-License-Identifier: Apache-2.0
//! A node to which documents are applied.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use it::{Node, Pair, Ran};
use serde_json::Deserializer;
use wire::{Applied, Document, Generation, GenerationSummary, State};

use super::{MOST, tell};

/// The parameter that tells documents apart.
const MARK: &str = "connections_per_second";

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Folder of state of the daemon, on a disk that outlives the guest
    #[arg(long)]
    state: PathBuf,
    /// Folder with the packages `sanity` and `ratelimit`, and `key.pub`
    #[arg(long)]
    packages: PathBuf,
    /// The mark of the first document to apply; the next ones count up
    #[arg(long)]
    mark: u64,
}

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let Arguments { state, packages, mark } = arguments;
    let pair = Pair::new()?;
    let node = Node::start_over(state, &pair.right, &policy(packages))?;
    node.wait("it converges", || node.status().is_ok_and(|status| status.state == State::Converged));
    tell_what_is_kept(&node, packages)?;
    tell_what_runs(&node)?;
    tell("complete");
    for mark in *mark..mark + MOST {
        tell(&format!("begun {mark}"));
        let applied = node.apply_with(&document(packages, mark), &["--json"])?.success()?;
        let Applied { generation, .. } = serde_json::from_str(&applied)?;
        tell(&format!("acknowledged {generation} {mark}"));
    }
    Ok(())
}

fn policy(packages: &Path) -> String {
    let key = packages.join("key.pub");
    format!("[[publisher]]\nname = \"l3af\"\npackages = [\"*\"]\nkey_files = [\"{}\"]\n", key.display())
}

/// A document for each mark: those with odd ones have a member more.
fn document(packages: &Path, mark: u64) -> String {
    let folder = packages.display();
    let sanity = format!("[[chain.member]]\nname = \"sanity\"\npackage = \"{folder}/sanity\"\n");
    let ratelimit = format!(
        "[[chain.member]]\nname = \"ratelimit\"\npackage = \"{folder}/ratelimit\"\nconfig = {{ {MARK} = {mark} }}\n"
    );
    let first = if mark % 2 == 1 { sanity } else { String::new() };
    format!("[[chain]]\ninterface = \"right0\"\nhook = \"xdp\"\n{first}{ratelimit}")
}

/// Tells of each generation that is kept which document it has, if it has all of it; and which is in force.
fn tell_what_is_kept(node: &Node, packages: &Path) -> Result<()> {
    let listed: Vec<GenerationSummary> = serde_json::from_str(&node.l3af(&["generations", "--json"])?)?;
    if listed.is_empty() {
        return Ok(());
    }
    let numbers = listed.iter().map(|generation| generation.number.to_string()).collect::<Vec<_>>();
    // One process for all of them: emulated, each takes its time.
    let output = Command::new("curl")
        .args(["--silent", "--show-error", "--fail", "--unix-socket"])
        .arg(node.socket())
        .arg(format!("http://l3afd/v1/generations/{{{}}}", numbers.join(",")))
        .output()
        .context("cannot run `curl`")?;
    for generation in Deserializer::from_str(&Ran::from(output).success()?).into_iter::<Generation>() {
        let generation = generation?;
        let number = generation.number;
        let mark = mark_of(&generation).with_context(|| format!("generation {number} has no mark"))?;
        let mut whole = Document::parse_toml(&document(packages, mark))?;
        whole.settle(packages)?;
        ensure!(generation.document == whole, "generation {number} lacks a part of document {mark}");
        tell(&format!("kept {number} {mark}"));
    }
    let in_force = listed.iter().find(|generation| generation.in_force);
    tell(&format!("in-force {}", in_force.context("no generation is in force")?.number));
    Ok(())
}

fn mark_of(generation: &Generation) -> Option<u64> {
    let members = &generation.document.chains.first()?.members;
    members.last()?.config.get(MARK)?.as_u64()
}

/// Tells which document the chain in the kernel is of.
fn tell_what_runs(node: &Node) -> Result<()> {
    for chain in node.chains()? {
        ensure!(chain.attached, "the chain on `{}` is not attached", chain.interface);
        let names: Vec<&str> = chain.members.iter().map(|member| member.name.as_ref()).collect();
        let mark = chain.members.last().and_then(|last| last.config.get(MARK)?.as_u64());
        let mark = mark.with_context(|| format!("{names:?} run, without a mark"))?;
        let expected: &[&str] = if mark % 2 == 1 { &["sanity", "ratelimit"] } else { &["ratelimit"] };
        ensure!(names == expected, "{names:?} run, and not the members of document {mark}");
        tell(&format!("runs {mark}"));
    }
    Ok(())
}
