// SPDX-License-Identifier: Apache-2.0
//! `l3af profile`: how long each member takes for a packet, measured for a while.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use serde::Serialize;
use wire::{ChainView, Profile, RunTime};

use super::daemon::call;
use crate::arguments::{self, Daemon};
use crate::failure::Outcome;
use crate::output;

/// What one member took.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Row {
    hook: String,
    member: String,
    runs: u64,
    nanoseconds_per_run: Option<u64>,
}

pub(crate) fn run(daemon: &Daemon, arguments: &arguments::Profile) -> Outcome {
    let seconds = arguments.seconds;
    let before = call(daemon, async |node| {
        let before = node.chains().await?;
        node.profile(Profile { seconds }).await?;
        Ok(before)
    })?;
    output::note(&format!("measuring for {seconds} s"));
    thread::sleep(Duration::from_secs(u64::from(seconds)));
    let after = call(daemon, async |node| {
        let after = node.chains().await?;
        node.end_profile().await?;
        Ok(after)
    })?;
    let rows = rows(&before.chains, &after.chains);
    if arguments.json {
        return output::json(&rows);
    }
    let cells = rows.into_iter().map(|row| {
        let time = row.nanoseconds_per_run.map_or_else(|| "-".to_owned(), |time| format!("{time} ns"));
        vec![row.hook, row.member, row.runs.to_string(), time]
    });
    output::data(&output::table(&["hook", "member", "runs", "time per run"], cells.collect()));
    Ok(())
}

/// What was measured between two looks.
fn rows(before: &[ChainView], after: &[ChainView]) -> Vec<Row> {
    let place = |chain: &ChainView| format!("{}/{}", chain.interface, chain.hook);
    let mut old: BTreeMap<(String, String), RunTime> = BTreeMap::new();
    for chain in before {
        old.extend(chain.members.iter().map(|member| ((place(chain), member.name.to_string()), member.run)));
    }
    let rows = after.iter().flat_map(|chain| chain.members.iter().map(move |member| (place(chain), member)));
    let row = |(hook, member): (String, &wire::MemberView)| {
        let key = (hook, member.name.to_string());
        let start = old.get(&key).copied().unwrap_or_default();
        let runs = member.run.runs.saturating_sub(start.runs);
        let time = member.run.nanoseconds.saturating_sub(start.nanoseconds);
        let (hook, member) = key;
        Row { hook, member, runs, nanoseconds_per_run: time.checked_div(runs) }
    };
    rows.map(row).collect()
}
