// SPDX-License-Identifier: Apache-2.0
//! The arguments of `l3af build`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::Value;

use super::setting;

/// Make a package from a folder with a `package.toml`
///
/// Each program's `source` is compiled with the clang that `[build]` pins, against libbpf's headers, which come with this
/// command. The same sources give the same bytes everywhere. Prints the digest of the package.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  l3af build programs/ratelimit
  l3af build --object target/bpfel-unknown-none/release/x.o   package what another tool chain made
  l3af build programs/ratelimit --for l3afd --on eth0 --set connections_per_second=50 > payload.json

For l3afd v1 it makes an artifact in a folder of its repository, with the chaining that l3afd wants of programs, and prints the payload
that deploys it. Parameters become constants there.")]
pub(crate) struct Build {
    /// Folder with `package.toml`
    #[arg(value_name = "DIR", default_value = ".")]
    pub(crate) folder: PathBuf,
    /// Folder to write the package into [default: NAME-VERSION.oci here], or the repository of l3afd [default: l3afd-repository]
    #[arg(long, short, value_name = "DIR")]
    pub(crate) output: Option<PathBuf>,
    /// Object to take in place of building the one of the same file name; may be given several times
    #[arg(long, value_name = "FILE", conflicts_with = "target")]
    pub(crate) object: Vec<PathBuf>,
    /// Time that the package bears, in seconds since 1970
    #[arg(long, value_name = "SECONDS", default_value_t = 0, env = "SOURCE_DATE_EPOCH")]
    pub(crate) created: u64,
    /// What it is for, where that is another loader
    #[arg(long = "for", value_name = "LOADER")]
    pub(crate) target: Option<Loader>,
    /// Name of the machines' release, as `lsb_release -cs` tells it [default: this machine's]
    #[arg(long, value_name = "NAME", requires = "target")]
    pub(crate) platform: Option<String>,
    /// Interface in the payload
    #[arg(long, value_name = "INTERFACE", default_value = "eth0", requires = "target")]
    pub(crate) on: String,
    /// Value of a parameter; may be given several times
    #[arg(long, value_name = "NAME=VALUE", value_parser = setting, requires = "target")]
    pub(crate) set: Vec<(String, Value)>,
}

/// Another loader than that of this project.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Loader {
    /// l3afd v1
    L3afd,
}
