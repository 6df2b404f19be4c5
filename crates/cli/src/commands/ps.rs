// SPDX-License-Identifier: Apache-2.0
//! `l3af ps`: the members of all chains, a line each.

use super::daemon::call;
use crate::arguments::{Daemon, Listing};
use crate::failure::Outcome;
use crate::output;

pub(crate) fn run(daemon: &Daemon, arguments: &Listing) -> Outcome {
    let listed = call(daemon, async |node| node.chains().await)?;
    if arguments.json {
        return output::json(&listed);
    }
    output::mode(listed.mode);
    let chains = listed.chains;
    let rows = chains.iter().flat_map(|chain| {
        chain.members.iter().enumerate().map(move |(index, member)| {
            vec![
                format!("{}/{}", chain.interface, chain.hook),
                (index + 1).to_string(),
                member.name.to_string(),
                format!("{} {}", member.package, member.version),
                member.program.clone(),
                member.seen.packets.to_string(),
                member.passed.packets.to_string(),
            ]
        })
    });
    let head = ["hook", "position", "member", "package", "program", "seen", "passed on"];
    output::data(&output::table(&head, rows.collect()));
    Ok(())
}
