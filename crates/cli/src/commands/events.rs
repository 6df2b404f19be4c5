// SPDX-License-Identifier: Apache-2.0
//! `l3af events`: what happened on the node, and what happens.

use std::path::Path;

use wire::{CallError, Event, NodeClient};

use super::daemon::call;
use crate::arguments::Events;
use crate::failure::Outcome;
use crate::output;

pub(crate) fn run(socket: &Path, arguments: &Events) -> Outcome {
    let json = arguments.json;
    call(socket, async |node: NodeClient| {
        if !arguments.follow {
            node.events(0).await?.iter().for_each(|event| tell(event, json));
            return Ok::<(), CallError>(());
        }
        let mut events = node.follow_events(0).await?;
        while let Some(event) = events.next().await? {
            tell(&event, json);
        }
        output::note("the daemon ended");
        Ok(())
    })
}

fn tell(event: &Event, json: bool) {
    if json {
        drop(output::json_line(event));
        return;
    }
    output::data(&event.to_string());
    for step in &event.steps {
        output::data(&format!("    {step}"));
    }
}
