// SPDX-License-Identifier: Apache-2.0
//! The arguments of `l3af test`.

use std::path::PathBuf;

use clap::Args;

use super::Logins;
use crate::failure::Failure;

/// Run a package's tests: its programs meet made-up packets in the kernel, alone and in a chain
///
/// The tests are files in `tests/` of the package (docs/testing.md). A folder with a `package.toml` is built first. Nothing is
/// attached. A daemon of its own runs them and goes with the command, unless `--socket` or `--node` names one.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own on the command line")]
#[command(after_help = "\
Examples:
  l3af test                                   the package in this folder
  l3af test programs/ratelimit --filter burst
  l3af test ratelimit-0.1.0.oci --junit results.xml
  l3af test --kernel 6.1,newest               on other kernels, in QEMU
  l3af test --coverage                        which lines of C the tests did not reach
  l3af test --coverage --lcov lcov.info")]
pub(crate) struct Test {
    /// Folder with `package.toml`, or folder of a package, or `oci://` and its reference in a registry
    #[arg(value_name = "FOLDER|PACKAGE", default_value = ".")]
    pub(crate) package: PathBuf,
    #[command(flatten)]
    pub(crate) logins: Logins,
    /// Run those tests only whose names have this in them
    #[arg(long, value_name = "TEXT")]
    pub(crate) filter: Option<String>,
    /// Run programs by themselves only
    #[arg(long, conflicts_with = "spliced")]
    pub(crate) alone: bool,
    /// Run programs in chains only
    #[arg(long)]
    pub(crate) spliced: bool,
    /// Run them on other kernels, Debian's in QEMU, by the numbers of their release, such as `6.1,newest`
    #[arg(long, value_name = "RELEASE", value_delimiter = ',', conflicts_with = "coverage")]
    pub(crate) kernel: Vec<String>,
    /// Folder in which those are kept [default: ~/.cache/l3af/kernels]
    #[arg(long, value_name = "FOLDER", env = "L3AF_KERNELS")]
    kernels: Option<PathBuf>,
    /// Write the results into a file, as `JUnit` does (XML)
    #[arg(long, value_name = "FILE")]
    pub(crate) junit: Option<PathBuf>,
    /// Tell which lines of C are not reached; takes the sources, and runs programs alone
    #[arg(long, conflicts_with = "spliced")]
    pub(crate) coverage: bool,
    /// Write that into a file besides, as lcov does
    #[arg(long, value_name = "FILE", requires = "coverage")]
    pub(crate) lcov: Option<PathBuf>,
    /// Print the sources besides, with how often each line ran
    #[arg(long, requires = "coverage")]
    pub(crate) annotate: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

impl Test {
    /// The folder in which kernels are kept.
    pub(crate) fn kernels(&self) -> Result<PathBuf, Failure> {
        let usual = || std::env::home_dir().map(|home| home.join(".cache/l3af/kernels"));
        let missing =
            || Failure::new("it is not known where kernels are kept").with_hint("`--kernels` names a folder");
        self.kernels.clone().or_else(usual).ok_or_else(missing)
    }
}
