// SPDX-License-Identifier: Apache-2.0
//! `l3af logs`: what the user program of a package wrote, and writes.

use super::daemon::{call, follow};
use crate::arguments::{Daemon, Logs};
use crate::failure::Outcome;
use crate::output;

pub(crate) fn run(daemon: &Daemon, arguments: &Logs) -> Outcome {
    let Logs { name, lines, json, follow: goes_on } = arguments;
    if *goes_on {
        const OVER: &str = "the program is no longer to run, or the daemon ended";
        let tell = |line: &String| if *json { output::json_line(line) } else { output::foreign(line) };
        return call(daemon, async |node| {
            follow(node.follow_user_log(name, *lines).await?, OVER, tell).await
        });
    }
    let log = call(daemon, async |node| node.user_log(name, *lines).await)?;
    if *json {
        return output::json(&log);
    }
    // A reader that has seen enough is no failure.
    log.lines.iter().all(|line| output::foreign(line));
    Ok(())
}
