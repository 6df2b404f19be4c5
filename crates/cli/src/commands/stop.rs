// SPDX-License-Identifier: Apache-2.0
//! `l3af stop`: takes a member out of its chain.

use super::daemon::{call, report};
use crate::arguments::{Daemon, Stop};
use crate::failure::Outcome;

pub(crate) fn run(daemon: &Daemon, arguments: &Stop) -> Outcome {
    let applied = call(daemon, async |node| match &arguments.member {
        Some(member) => node.stop(member, arguments.on.as_deref()).await,
        None => node.stop_all().await,
    })?;
    report(&applied);
    Ok(())
}
