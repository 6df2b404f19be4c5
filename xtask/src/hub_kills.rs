// SPDX-License-Identifier: Apache-2.0
//! `cargo xtask hub-kills`: builds a hub and kills it while artifacts are pushed to it, a thousand of them where nothing else is said.

use anyhow::Result;

use crate::shell::{self, command};

/// Builds what is needed, and runs it.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    shell::run(&mut command("cargo build --quiet --package hub --package it --bins"))?;
    shell::run(command("target/debug/l3af-hub-kills").args(arguments))
}
