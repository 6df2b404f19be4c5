// SPDX-License-Identifier: Apache-2.0
//! The arguments of the commands about maps.

use std::path::PathBuf;

use clap::Args;
use package::MemberName;
use wire::MapPlace;

/// List the maps of what runs, with what they hold
#[derive(Debug, Args)]
pub(crate) struct Maps {
    /// Member or probe [default: all]
    pub(crate) member: Option<MemberName>,
    /// Print JSON: the interface of each map (docs/map-interface.md)
    #[arg(long)]
    pub(crate) json: bool,
}

/// Which map.
#[derive(Debug, Args)]
pub(crate) struct Place {
    /// Member or probe
    pub(crate) member: MemberName,
    /// Map, or a section of global variables such as `.bss`
    pub(crate) map: String,
    /// Hook of its chain, as `eth0/xdp`, where several have a member of that name
    #[arg(long, value_name = "HOOK")]
    pub(crate) hook: Option<String>,
}

impl Place {
    /// The same for the daemon.
    pub(crate) fn place(&self) -> MapPlace {
        MapPlace { member: self.member.clone(), hook: self.hook.clone(), map: self.map.clone() }
    }
}

/// Print what is in a map
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  l3af get ratelimit ratelimit_ports 443
  l3af get ratelimit ratelimit_ports --json > ports.json

Without a key all entries are printed, as `KEY=VALUE`, which `l3af set` takes. Values that each processor has of its own are added
up.")]
pub(crate) struct Get {
    #[command(flatten)]
    pub(crate) place: Place,
    /// Key: a word, or JSON
    pub(crate) key: Option<String>,
    /// Print the values of all processors in place of their sum
    #[arg(long)]
    pub(crate) per_cpu: bool,
    /// Print JSON, one entry in each line
    #[arg(long)]
    pub(crate) json: bool,
}

/// Tell what changes in a map, or the events that a program hands over
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  l3af watch guard limits
  l3af watch exec-watch events --json

All entries are told first, and then each second what is new, other or gone. Of events each is told once, to one who reads. Ctrl-C ends
it.")]
pub(crate) struct Watch {
    #[command(flatten)]
    pub(crate) place: Place,
    /// Print JSON, one object in each line
    #[arg(long)]
    pub(crate) json: bool,
}

/// Change what is in a map
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  l3af set guard limits 443=100/s 80=1k/s
  l3af set guard blocked --delete 192.0.2.0/24
  l3af set guard limits --file limits.json      lines as `l3af get` prints them, with `--json` or without
  sed 's/$/=block/' drop.txt | l3af set guard blocked --replace --file -

All is written, or nothing: what is wrong with any entry is told before. With `--replace`, which is for lists of any length, entries are
written by the 100000, and then what is in no line goes: the map must have room for both. Where the kernel refuses some, those before
stay, and how many they are is told. What is set lasts as long as the map does: over changes and upgrades, and not over a restart of
the machine.")]
pub(crate) struct Set {
    #[command(flatten)]
    pub(crate) place: Place,
    /// Entries: key and value are a word or JSON each
    #[arg(value_name = "KEY=VALUE")]
    pub(crate) entries: Vec<String>,
    /// Key of an entry that is to go; may be given several times
    #[arg(long, value_name = "KEY")]
    pub(crate) delete: Vec<String>,
    /// File with entries, a line of JSON or `KEY=VALUE` each; `-` for standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// Let the map hold what the file says and nothing else
    #[arg(long, requires = "file", conflicts_with_all = ["entries", "delete"])]
    pub(crate) replace: bool,
    /// Write over what the program counts or keeps for itself, too
    #[arg(long)]
    pub(crate) force: bool,
}
