// SPDX-License-Identifier: Apache-2.0
//! `l3af status`: how the daemon is.

use std::path::Path;

use super::daemon::call;
use crate::arguments::Listing;
use crate::failure::Outcome;
use crate::output;

pub(crate) fn run(socket: &Path, arguments: &Listing) -> Outcome {
    let status = call(socket, async |node| node.status().await)?;
    if arguments.json {
        return output::json(&status);
    }
    let mut lines = vec![
        ("state", status.state.to_string()),
        ("generation", status.generation.to_string()),
        ("mode", status.mode),
        ("kernel", status.kernel),
        ("pins", status.pins),
        ("version", status.version),
    ];
    if !status.waiting_for.is_empty() {
        lines.push(("waiting for", status.waiting_for.join(", ")));
    }
    if let Some(problem) = &status.problem {
        lines.push(("problem", problem.to_string()));
        lines.extend(problem.hint.clone().map(|hint| ("hint", hint)));
        lines.extend(problem.log.clone().map(|log| ("log", log)));
    }
    for (name, value) in lines {
        output::data(&format!("{name:<12} {value}"));
    }
    Ok(())
}
