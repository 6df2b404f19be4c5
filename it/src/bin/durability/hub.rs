// SPDX-License-Identifier: Apache-2.0
//! A hub to which artifacts are pushed.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use anyhow::{Result, ensure};
use it::{Artifact, Hub, Pusher};

use super::{MOST, tell};

const PUBLISHER: &str = "durable";
/// How many push at a time, so that the hub makes several pushes durable at once.
const CLIENTS: usize = 4;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Folder of the hub, on a disk that outlives the guest
    #[arg(long)]
    state: PathBuf,
    /// The number of the first artifact to push; the next ones count up
    #[arg(long)]
    mark: u64,
}

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let Arguments { state, mark } = arguments;
    let hub = Hub::start_over(state)?;
    let pusher = hub.pusher(&format!("{PUBLISHER}/artifacts"));
    for mark in pusher.listed()? {
        pusher.find(&Artifact::numbered(mark))?;
        tell(&format!("whole {mark}"));
    }
    let check = hub.administer(&["check"])?;
    ensure!(check.ok, "the check finds problems:\n{}", check.stdout);
    // At the first boot.
    if hub.get(&format!("/v2/{PUBLISHER}/artifacts/tags/list"))?.text().contains("NAME_UNKNOWN") {
        let added = hub.administer(&["publisher", "add", PUBLISHER, "--registry-only"])?;
        ensure!(added.ok || added.stderr.contains("is there"), "{}", added.stderr);
    }
    tell("complete");
    push(&pusher, *mark)
}

/// Pushes artifacts from a number on, several at a time.
fn push(pusher: &Pusher, first: u64) -> Result<()> {
    let next = AtomicU64::new(first);
    let client = || -> Result<()> {
        let take = || Some(next.fetch_add(1, Ordering::Relaxed)).filter(|mark| *mark < first + MOST);
        while let Some(mark) = take() {
            tell(&format!("begun {mark}"));
            pusher.push_until_acknowledged(&Artifact::numbered(mark))?;
            tell(&format!("pushed {mark}"));
        }
        Ok(())
    };
    thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(client)).collect();
        clients.into_iter().try_for_each(|client| client.join().expect("no client panics"))
    })
}
