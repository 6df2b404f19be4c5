// SPDX-License-Identifier: Apache-2.0
//! The stages in dispatchers: ours, and that of libxdp, where the kernel permits extension programs.

use std::fs;

use anyhow::{Context, Result};
use kernel::{Candidate, Foreign, Membership, Trial, extensions_are_permitted};
use package::HookPoint;

/// Where Debian's `libxdp1` keeps its dispatcher.
const LIBXDP: &str = "/usr/lib/x86_64-linux-gnu/bpf/xdp-dispatcher.o";
/// What it takes (`MAX_DISPATCHER_ACTIONS` of its `prog_dispatcher.h`).
const LIBXDP_MEMBERS: usize = 10;

/// A chain of so many stages in each dispatcher that can be had.
pub(crate) fn trials(stage: &Candidate<'_>, length: usize) -> Result<Vec<(&'static str, Trial)>> {
    let mut trials = Vec::new();
    if !extensions_are_permitted() {
        return Ok(trials);
    }
    for (name, counted) in [("freplace", false), ("freplace-counted", true)] {
        let how = Membership { counted, ..Membership::default_for(HookPoint::Xdp) };
        let members = vec![(stage.clone(), how); length];
        trials.push((name, Trial::dispatched(HookPoint::Xdp, &members)?));
    }
    if length <= LIBXDP_MEMBERS {
        let object = fs::read(LIBXDP).with_context(|| format!("`{LIBXDP}` of libxdp1 is missing"))?;
        let (main, constants) = ("xdp_dispatcher".parse()?, configuration(u8::try_from(length)?));
        let functions = (0..LIBXDP_MEMBERS).map(|number| format!("prog{number}")).collect();
        let foreign = Foreign { object: &object, main, constants: &constants, functions };
        trials
            .push(("libxdp", Trial::dispatched_by(&foreign, HookPoint::Xdp, &vec![stage.clone(); length])?));
    }
    Ok(trials)
}

/// What libxdp writes into its dispatcher (version 2 of its protocol): so many programs, each of which goes on after `XDP_PASS`
/// and after the answer of a function whose place nobody took.
fn configuration(members: u8) -> Vec<u8> {
    const MAGIC: u8 = 236;
    const VERSION: u8 = 2;
    const GOES_ON: u32 = 1 << 2 | 1 << 31;
    const PRIORITY: u32 = 50;
    let mut bytes = vec![MAGIC, VERSION, members, 0];
    for word in [GOES_ON, PRIORITY, 0] {
        bytes.extend(word.to_ne_bytes().repeat(LIBXDP_MEMBERS));
    }
    bytes
}
