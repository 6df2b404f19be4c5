// SPDX-License-Identifier: Apache-2.0
//! What commands take to know what a file is that says nothing of itself.

use std::path::PathBuf;

use clap::Args;
use package::{Format, PackageName, PublisherName, Version};

/// What a release is called. A package says it of itself; of a file it must be given, and of both it is demanded.
#[derive(Debug, Default, Args)]
pub(crate) struct Naming {
    /// Publisher, of a file that is no package
    #[arg(long, value_name = "NAME")]
    pub(crate) publisher: Option<PublisherName>,
    /// Name of the release, of a file that is no package
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<PackageName>,
    /// Version, of a file that is no package
    #[arg(long, value_name = "VERSION")]
    pub(crate) version: Option<Version>,
    /// Format of the objects in an archive [default: elf]
    #[arg(long, value_name = "elf|pe")]
    pub(crate) format: Option<Format>,
    /// Statement about a file that is no package [default: FILE.l3af.json]
    #[arg(long, value_name = "FILE")]
    pub(crate) statement: Option<PathBuf>,
}
