// SPDX-License-Identifier: Apache-2.0
//! `l3af events`: what happened on the node, and what happens.

use wire::Event;

use super::daemon::{call, follow};
use crate::arguments::{Daemon, Events};
use crate::failure::Outcome;
use crate::output;

pub(crate) fn run(daemon: &Daemon, arguments: &Events) -> Outcome {
    let tell = |event: &Event| if arguments.json { output::json_line(event) } else { lines(event) };
    if arguments.follow {
        return call(daemon, async |node| {
            follow(node.follow_events(0).await?, "the daemon ended", tell).await
        });
    }
    let events = call(daemon, async |node| node.events(0).await)?;
    // A reader that has seen enough is no failure.
    events.iter().all(tell);
    Ok(())
}

/// Prints an event and its steps. Returns whether anybody still reads.
fn lines(event: &Event) -> bool {
    // Processes name themselves.
    output::foreign(&event.to_string())
        && event.steps.iter().all(|step| output::foreign(&format!("    {step}")))
}
