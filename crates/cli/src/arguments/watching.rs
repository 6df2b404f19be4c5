// SPDX-License-Identifier: Apache-2.0
//! The arguments of the commands that watch what packets do.

use clap::Args;

/// Watch chains live: packets and bytes in a second, verdicts, drops
#[derive(Debug, Args)]
#[command(after_help = "\
Keys:
  q          quit (also Ctrl-C)
  s          sort: as the chains are, by packets, by drops, by time for a packet
  p          profile for ten seconds: time for a packet
  /          show only what has this in its hook, member or package; Enter keeps it, Esc clears it
  arrows, PgUp, PgDn, Home, End   scroll")]
pub(crate) struct Top {
    /// Seconds between two readings
    #[arg(long, value_name = "SECONDS", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub(crate) interval: u32,
    /// Print one sample, from two readings, and end
    #[arg(long)]
    pub(crate) once: bool,
    /// Print one sample as JSON
    #[arg(long)]
    pub(crate) json: bool,
}
