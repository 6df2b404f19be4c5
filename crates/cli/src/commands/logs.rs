// SPDX-License-Identifier: Apache-2.0
//! `l3af logs`: what the user program of a package wrote, and writes.

use std::path::Path;

use wire::CallError;

use super::daemon::call;
use crate::arguments::Logs;
use crate::failure::Outcome;
use crate::output;

pub(crate) fn run(socket: &Path, arguments: &Logs) -> Outcome {
    if arguments.follow {
        return call(socket, async |node| follow(&node, arguments).await);
    }
    let log = call(socket, async |node| node.user_log(&arguments.name, arguments.lines).await)?;
    if arguments.json {
        return output::json(&log);
    }
    // A reader that has seen enough is no failure.
    log.lines.iter().all(|line| output::foreign(line));
    Ok(())
}

/// Prints lines as they come, until somebody has seen enough.
async fn follow(node: &wire::NodeClient, arguments: &Logs) -> Result<(), CallError> {
    let mut lines = node.follow_user_log(&arguments.name, arguments.lines).await?;
    loop {
        let line = tokio::select! {
            // Ctrl-C; where it cannot be waited for, it ends this program by itself.
            Ok(()) = tokio::signal::ctrl_c() => return Ok(()),
            line = lines.next() => line?,
        };
        let Some(line) = line else {
            output::note("the program is no longer to run, or the daemon ended");
            return Ok(());
        };
        let goes_on = if arguments.json {
            output::foreign(&serde_json::Value::from(line).to_string())
        } else {
            output::foreign(&line)
        };
        if !goes_on {
            return Ok(());
        }
    }
}
