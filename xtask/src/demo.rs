// SPDX-License-Identifier: Apache-2.0
//! `make demo`: builds what the demo needs, and runs it.

use anyhow::{Result, bail};

use crate::setup;
use crate::shell::{self, command, is_root, say};

/// Builds and runs the demo.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    if !is_root() {
        bail!("the demo makes network namespaces and loads programs. Run: sudo env PATH=\"$PATH\" make demo");
    }
    setup::install(&[setup::BUILD, setup::DEMO])?;
    say("Building what the demo needs; the first time takes some minutes.");
    shell::run(&mut command("cargo build --quiet --package node --package cli --package it --bins"))?;
    shell::run(command("target/debug/l3af-demo").args(arguments))
}
