// SPDX-License-Identifier: Apache-2.0
//! `l3af generations`, `diff`, `confirm`, `rollback`: what was in force, what is, and the way back.

use std::path::Path;

use wire::{Generation, GenerationSummary, Rollback, differences};

use super::apply;
use super::daemon::{call, report};
use crate::arguments::{Confirm, Daemon, Diff, Listing, RollBack};
use crate::failure::{Failure, Outcome};
use crate::output;

pub(crate) fn generations(daemon: &Daemon, arguments: &Listing) -> Outcome {
    let generations = call(daemon, async |node| node.generations().await)?;
    if arguments.json {
        return output::json(&generations);
    }
    let rows = generations.iter().map(|generation| {
        let GenerationSummary { number, accepted, by, chains, members, probes, .. } = generation;
        let counts = [chains, members, probes].map(ToString::to_string);
        let head = [number.to_string(), accepted.clone(), by.clone().unwrap_or_default()];
        head.into_iter().chain(counts).chain([remark(generation)]).collect()
    });
    let head = ["generation", "accepted", "by", "chains", "members", "probes", ""];
    output::data(&output::table(&head, rows.collect()));
    Ok(())
}

fn remark(generation: &GenerationSummary) -> String {
    let mut remarks = Vec::new();
    if generation.in_force {
        remarks.push("in force".to_owned());
    }
    remarks.extend(generation.again.map(|again| format!("brought back {again}")));
    remarks.extend(generation.given_up.as_ref().map(|why| format!("given up: {why}")));
    remarks.join("; ")
}

pub(crate) fn diff(daemon: &Daemon, arguments: &Diff) -> Outcome {
    let (before, after) = match (&arguments.from, arguments.to) {
        (None, _) => {
            let after = call(daemon, async |node| node.desired().await)?;
            let all = call(daemon, async |node| node.generations().await)?;
            let previous =
                all.iter().find(|kept| kept.number == after.number).map_or(0, |kept| kept.previous);
            (kept(daemon, previous)?, after)
        }
        (Some(from), to) => match (from.parse::<u64>(), to) {
            (Ok(from), Some(to)) => (kept(daemon, from)?, kept(daemon, to)?),
            (Ok(from), None) => (kept(daemon, from)?, call(daemon, async |node| node.desired().await)?),
            (Err(_), Some(_)) => {
                return Err(Failure::new(format!("`{from}` is not the number of a generation"))
                    .with_hint("a document is compared with what is in force"));
            }
            (Err(_), None) => {
                let document = apply::read(Path::new(from))?;
                let before = call(daemon, async |node| node.desired().await)?;
                (before, Generation { document, ..Generation::default() })
            }
        },
    };
    let differences = differences(&before, &after);
    if arguments.json {
        return output::json(&differences);
    }
    for difference in &differences {
        output::data(&difference.to_string());
    }
    if differences.is_empty() {
        output::note("both desire the same");
    }
    Ok(())
}

/// A generation that is kept; nothing is desired in the one with the number 0.
fn kept(daemon: &Daemon, number: u64) -> Result<Generation, Failure> {
    match number {
        0 => Ok(Generation::default()),
        _ => call(daemon, async |node| node.generation(number).await),
    }
}

pub(crate) fn confirm(daemon: &Daemon, arguments: &Confirm) -> Outcome {
    let confirmed = call(daemon, async |node| node.confirm(arguments.generation).await)?;
    output::note(&format!("generation {} stays", confirmed.number));
    Ok(())
}

pub(crate) fn roll_back(daemon: &Daemon, arguments: &RollBack) -> Outcome {
    let rollback = Rollback { to: arguments.to };
    let applied = call(daemon, async |node| node.roll_back(rollback, arguments.expect_generation).await)?;
    if arguments.json {
        return output::json(&applied);
    }
    report(&applied);
    Ok(())
}
