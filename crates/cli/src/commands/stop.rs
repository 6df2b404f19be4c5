// SPDX-License-Identifier: Apache-2.0
//! `l3af stop`: takes a member out of its chain.

use std::path::Path;

use super::daemon::{call, report};
use crate::arguments::Stop;
use crate::failure::Outcome;

pub(crate) fn run(socket: &Path, arguments: &Stop) -> Outcome {
    let applied = call(socket, async |node| match &arguments.member {
        Some(member) => node.stop(member, arguments.on.as_deref()).await,
        None => node.stop_all().await,
    })?;
    report(&applied);
    Ok(())
}
