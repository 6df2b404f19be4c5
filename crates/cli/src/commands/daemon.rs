// SPDX-License-Identifier: Apache-2.0
//! Talking to the daemon, one call at a time.

use serde::de::DeserializeOwned;
use wire::{Applied, CallError, Following, NodeClient};

use crate::arguments::Daemon;
use crate::failure::Failure;
use crate::output;

/// Makes calls of one daemon and waits for the answers.
pub(crate) fn call<T>(
    daemon: &Daemon,
    calls: impl AsyncFnOnce(NodeClient) -> Result<T, CallError>,
) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let client = daemon.client()?;
    Ok(runtime.block_on(calls(client))?)
}

/// Tells what was done.
pub(crate) fn report(applied: &Applied) {
    for step in &applied.steps {
        output::data(step);
    }
    let done = if applied.steps.is_empty() { "nothing had to be done" } else { "reached" };
    output::note(&format!("generation {}: {done}", applied.generation));
    for note in &applied.notes {
        output::note(&format!("note: {note}"));
    }
}

/// Tells what comes until nothing does any more, somebody ends it by Ctrl-C, or whoever reads has seen enough, which `tell` says.
pub(crate) async fn follow<T: DeserializeOwned>(
    mut coming: Following<T>,
    over: &str,
    tell: impl Fn(&T) -> bool,
) -> Result<(), CallError> {
    loop {
        let next = tokio::select! {
            // Where it cannot be waited for, Ctrl-C ends this program by itself.
            Ok(()) = tokio::signal::ctrl_c() => return Ok(()),
            next = coming.next() => next?,
        };
        match next {
            Some(next) if tell(&next) => {}
            Some(_) => return Ok(()),
            None => {
                output::note(over);
                return Ok(());
            }
        }
    }
}
