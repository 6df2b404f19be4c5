// SPDX-License-Identifier: Apache-2.0
//! What is said on the command line to take over a site of l3afd v1.

use std::path::PathBuf;

use clap::Args;
use package::PublisherName;

use super::SigningKeys;

/// Make a site of l3afd v1 one whose packages are verified: sign its artifacts, and write the policy that trusts them
///
/// The statement about each artifact is written beside it. Nothing of l3afd v1 is changed: it goes on reading its artifacts as before.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  l3af key new site.key
  l3af adopt-l3afd /etc/l3afd/l3afd.cfg --key site.key
  l3afd -config /etc/l3afd/l3afd.cfg --take-over     end the l3afd v1 that runs, and take over its hooks
  l3af adopt-l3afd /etc/l3afd/l3afd.cfg --back       end this l3afd, and leave its hooks to a l3afd v1")]
pub(crate) struct AdoptL3afd {
    /// The configuration of l3afd v1
    pub(crate) config: PathBuf,
    #[command(flatten)]
    pub(crate) keys: SigningKeys,
    /// The way back: end the daemon and take everything off, for a l3afd v1 to deploy what its store file has
    #[arg(long, conflicts_with_all = ["references", "passphrase_file", "publisher", "policy", "statements"])]
    pub(crate) back: bool,
    /// With `--back`: the daemon's folder of state
    #[arg(long, value_name = "DIR", default_value = "/var/lib/l3af", requires = "back")]
    pub(crate) state: PathBuf,
    /// With `--back`: the daemon's folder of pins
    #[arg(long, value_name = "DIR", default_value = "/sys/fs/bpf/l3af", requires = "back")]
    pub(crate) pins: PathBuf,
    /// Whose packages they are from now on
    #[arg(long, value_name = "NAME", default_value = "site")]
    pub(crate) publisher: PublisherName,
    /// The policy that is written, where there is none
    #[arg(long, value_name = "FILE", default_value = "/etc/l3af/trust.toml")]
    pub(crate) policy: PathBuf,
    /// Where statements are written about what comes from a server, to be put beside it there
    #[arg(long, value_name = "DIR")]
    pub(crate) statements: Option<PathBuf>,
}
