// SPDX-License-Identifier: Apache-2.0
//! The arguments of the commands that show how a node is.

use clap::Args;
use package::Interface;
use wire::UserProgramName;

/// Tell what happened: changes, repairs of what others changed, problems, alarms
#[derive(Debug, Args)]
pub(crate) struct Events {
    /// Go on with what happens from now on
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// Print JSON, one event in each line
    #[arg(long)]
    pub(crate) json: bool,
}

/// List the members of all chains
#[derive(Debug, Args)]
pub(crate) struct Listing {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Tell how the daemon is, and why it trusts what it runs
#[derive(Debug, Args)]
pub(crate) struct Status {
    /// List for each package each rule of trust, what it looked at, and how it ended when the package was accepted
    #[arg(long)]
    pub(crate) explain: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Draw chains with the packets that went through
#[derive(Debug, Args)]
pub(crate) struct Chain {
    /// Interface [default: all]
    pub(crate) interface: Option<Interface>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Show what the user program of a package wrote
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  l3af logs telemetry
  l3af logs example/telemetry -f -n 20

A program that is started again goes on in the same log, and so does another release of its package. `l3af status` names
the file.")]
pub(crate) struct Logs {
    /// Package, as `NAME` or `PUBLISHER/NAME`
    #[arg(value_name = "PACKAGE")]
    pub(crate) name: UserProgramName,
    /// Go on with what it writes from now on; Ctrl-C ends that
    #[arg(long, short)]
    pub(crate) follow: bool,
    /// How many of the last lines, at most 10000
    #[arg(long, short = 'n', value_name = "LINES", default_value_t = 100, value_parser = clap::value_parser!(u32).range(..=10_000))]
    pub(crate) lines: u32,
    /// Print JSON; with `--follow` a text for each line
    #[arg(long)]
    pub(crate) json: bool,
}
