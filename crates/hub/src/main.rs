// SPDX-License-Identifier: Apache-2.0
//! `l3af-hub`, the eBPF package repository.

mod commands;

use std::io::{IsTerminal as _, Write as _, stderr};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use hub::Config;
use tracing_subscriber::EnvFilter;

use self::commands::Command;

/// The eBPF package repository.
#[derive(Debug, Parser)]
#[command(name = "l3af-hub", version)]
struct Arguments {
    /// The configuration; without it the hub listens on 127.0.0.1:8520 and keeps everything in /var/lib/l3af-hub.
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Where nobody hears it the status still tells.
            let _unheard = writeln!(stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<()> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_unset| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(stderr)
        .with_ansi(stderr().is_terminal())
        .init();
    let config = arguments.config.as_deref().map_or_else(|| Ok(Config::default()), Config::read)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(arguments.command.run(config))
}
