// SPDX-License-Identifier: Apache-2.0
//! What can be typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use package::{InterfaceName, MemberName, ParameterValue, Platform};

/// Build, sign and run eBPF packages.
#[derive(Debug, Parser)]
#[command(name = "l3af", version, after_help = HELP, arg_required_else_help = true)]
pub(crate) struct Arguments {
    /// Unix socket of the daemon
    #[arg(long, global = true, value_name = "PATH", env = "L3AF_SOCKET", default_value = "/run/l3af/l3afd.sock")]
    pub(crate) socket: PathBuf,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const HELP: &str = "\
From source to packets:
  l3af key new my.key                            make a key; my.key.pub is its public half
  l3af build programs/ratelimit                  make a package folder
  l3af sign ratelimit-0.1.0.oci --key my.key     sign it
  l3af verify ratelimit-0.1.0.oci --key my.key.pub
  sudo l3af run ratelimit-0.1.0.oci --on eth0    verify it, put it into the chain of eth0
  sudo l3af chain eth0                           see what packets did
  sudo l3af detach --all                         take everything off, whatever happens";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a package from a folder with a `package.toml`
    Build(Build),
    /// Show what is in a package
    Inspect(Inspect),
    /// Make and show keys
    Key {
        #[command(subcommand)]
        command: Key,
    },
    /// Sign a package
    Sign(Sign),
    /// Say whether a package is trusted, and why
    Verify(Verify),
    /// Make a document the desired state of this machine
    Apply(Apply),
    /// Put a package into a chain
    Run(Run),
    /// List the members of all chains
    Ps(Listing),
    /// Draw chains with the packets that went through
    Chain(Chain),
    /// Take a member out of its chain
    Stop(Stop),
    /// Show how the daemon is
    Status(Listing),
    /// Take all programs off, without daemon, network or policy
    Detach(Detach),
}

#[derive(Debug, Args)]
#[command(after_help = "\
Sources are compiled with the clang that `[build]` in `package.toml` names. Debug information is stripped, BTF is
kept, paths are mapped: the same folder gives the same digest everywhere. Times in the package are those of
SOURCE_DATE_EPOCH, else 0.

Examples:
  l3af build programs/ratelimit
  l3af build . --object target/bpf/filter.o      package what another tool chain made")]
pub(crate) struct Build {
    /// Folder with `package.toml`
    #[arg(default_value = ".")]
    pub(crate) folder: PathBuf,
    /// Folder to write; `<name>-<version>.oci` when left out
    #[arg(long, short, value_name = "DIR")]
    pub(crate) output: Option<PathBuf>,
    /// Object made by another tool chain, in place of the one of the same file name; may be repeated
    #[arg(long, value_name = "FILE")]
    pub(crate) object: Vec<PathBuf>,
    /// Seconds since 1970 that the package bears
    #[arg(long, value_name = "SECONDS", env = "SOURCE_DATE_EPOCH", default_value_t = 0)]
    pub(crate) created: u64,
}

#[derive(Debug, Args)]
pub(crate) struct Inspect {
    /// Package folder
    pub(crate) package: PathBuf,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Key {
    /// Make an Ed25519 key: FILE is private, FILE.pub is public
    New {
        /// File to write; one that exists is never overwritten
        file: PathBuf,
    },
    /// Show the id of a key
    Show {
        /// Private or public key in PEM
        file: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Sign {
    /// Package folder
    pub(crate) package: PathBuf,
    /// Private key in PEM; may be repeated
    #[arg(long, value_name = "FILE", required = true)]
    pub(crate) key: Vec<PathBuf>,
    /// Days until the statement holds no longer; for ever when left out
    #[arg(long, value_name = "DAYS")]
    pub(crate) expires_in_days: Option<u32>,
}

#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// Package folder
    pub(crate) package: PathBuf,
    /// Policy to verify against
    #[arg(long, value_name = "FILE", default_value = "/etc/l3af/trust.toml", conflicts_with = "key")]
    pub(crate) policy: PathBuf,
    /// Trust just this public key, in place of a policy
    #[arg(long, value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
    /// Platform to verify for; this machine's when left out
    #[arg(long, value_name = "OS/ARCH")]
    pub(crate) platform: Option<Platform>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
A document is TOML:
  [[chain]]
  interface = \"eth0\"
  hook = \"xdp\"
  [[chain.member]]
  name = \"ratelimit\"
  package = \"ratelimit-0.1.0.oci\"     relative to the document
  config = { connections_per_second = 50 }

Hooks that are not in the document run nothing. All of it is applied, or nothing.")]
pub(crate) struct Apply {
    /// Document
    pub(crate) document: PathBuf,
    /// Show the steps and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Refuse unless this generation is in force
    #[arg(long, value_name = "NUMBER")]
    pub(crate) expect_generation: Option<u64>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// Package folder
    pub(crate) package: PathBuf,
    /// Interface, or interface and hook as in `eth0/tc-ingress`
    #[arg(long, value_name = "HOOK")]
    pub(crate) on: String,
    /// Name of the member; the package's when left out
    #[arg(long)]
    pub(crate) name: Option<MemberName>,
    /// Position in the chain, from 1; the end when left out
    #[arg(long, value_name = "POSITION")]
    pub(crate) at: Option<usize>,
    /// Verdicts after which the chain goes on, as in `pass,tx`
    #[arg(long, value_name = "VERDICTS", value_delimiter = ',')]
    pub(crate) proceed: Option<Vec<String>>,
    /// Value for a parameter; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = setting)]
    pub(crate) set: Vec<(String, ParameterValue)>,
}

#[derive(Debug, Args)]
pub(crate) struct Listing {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Chain {
    /// Only the chains of this interface
    pub(crate) interface: Option<InterfaceName>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Stop {
    /// Member to take out
    #[arg(required_unless_present = "all")]
    pub(crate) member: Option<MemberName>,
    /// Only on this hook, as in `eth0/xdp`
    #[arg(long, value_name = "HOOK")]
    pub(crate) on: Option<String>,
    /// Take all members out of all chains
    #[arg(long, conflicts_with_all = ["member", "on"])]
    pub(crate) all: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
The daemon is asked first. If it does not answer, the pins are removed from bpffs directly: that ends every link and
every program. A daemon that starts later applies nothing until the next `l3af apply` or `l3af run`.")]
pub(crate) struct Detach {
    /// Yes, all
    #[arg(long, required = true)]
    pub(crate) all: bool,
    /// Folder of pins of the daemon
    #[arg(long, value_name = "DIR", default_value = "/sys/fs/bpf/l3af")]
    pub(crate) pins: PathBuf,
    /// Folder of state of the daemon
    #[arg(long, value_name = "DIR", default_value = "/var/lib/l3af")]
    pub(crate) state: PathBuf,
}

fn setting(text: &str) -> Result<(String, ParameterValue), String> {
    let (name, value) = text.split_once('=').ok_or("it must be NAME=VALUE")?;
    let value = value.parse().map_err(|_| format!("`{value}` is neither a number nor `true` or `false`"))?;
    Ok((name.to_owned(), value))
}
