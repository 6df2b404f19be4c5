// SPDX-License-Identifier: Apache-2.0
//! The arguments of the commands that watch what packets do.

use std::path::PathBuf;

use clap::Args;
use package::Share;

use super::history::seconds;

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

/// Show packets where they leave a chain: which members they passed, and which one decided
///
/// Members that note their verdicts are swapped in for so long, and out again, also when this command is gone.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  l3af why eth0
  l3af why eth0/xdp 'tcp 10.0.0.0/8 > *:443' --for 1m --share 5%
  l3af why eth0 icmp --count 10 --pcap icmp.pcapng

A filter is a version (`ip`, `ip6`), a protocol (`tcp`, `udp`, `icmp`, `icmp6`, `sctp`, ... or `protocol 89`) and the ends of a flow,
each of which may be left out. An end is an address, a network, a port, or both (`10.0.0.1:53`, `[fe80::1]:53`, `*:53`); `>` is one
way, `<>` both, and one end alone either. VLAN tags are skipped.")]
pub(crate) struct Why {
    /// Interface, with `/xdp`, `/tc-ingress` or `/tc-egress` for one chain of it
    #[arg(value_name = "INTERFACE[/HOOK]")]
    pub(crate) place: String,
    /// Which flows [default: all packets]
    #[arg(value_name = "FILTER")]
    pub(crate) filter: Vec<String>,
    /// How long to listen, as in `10s` or `5m`; an hour at most
    #[arg(long = "for", value_name = "TIME", default_value = "10s", value_parser = seconds)]
    pub(crate) seconds: u32,
    /// End after so many packets
    #[arg(long, value_name = "PACKETS", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: Option<u64>,
    /// Show a share of the packets only, as in `5%`
    #[arg(long)]
    pub(crate) share: Option<Share>,
    /// Write the packets into a file as well (pcapng), with who decided as their comment
    #[arg(long, value_name = "FILE")]
    pub(crate) pcap: Option<PathBuf>,
    /// Print JSON, one packet in each line
    #[arg(long)]
    pub(crate) json: bool,
}
