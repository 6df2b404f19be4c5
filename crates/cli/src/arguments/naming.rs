// SPDX-License-Identifier: Apache-2.0
//! What commands take to know what a file is that says nothing of itself.

use std::path::{Path, PathBuf};

use clap::Args;
use package::{Format, Named, PackageName, PublisherName, Version};

use crate::failure::Failure;

/// What a release is called. A package says it of itself; of a file it must be given, and of both it is demanded.
#[derive(Debug, Default, Args)]
pub(crate) struct Naming {
    /// Publisher, of what is no package
    #[arg(long, value_name = "NAME")]
    pub(crate) publisher: Option<PublisherName>,
    /// Name of the release, of what is no package
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<PackageName>,
    /// Version, of what is no package
    #[arg(long, value_name = "VERSION")]
    pub(crate) version: Option<Version>,
    /// Format of the objects in an archive [default: elf]
    #[arg(long, value_name = "elf|pe")]
    pub(crate) format: Option<Format>,
    /// Statement about a file that is no package [default: FILE.l3af.json]
    #[arg(long, value_name = "FILE")]
    pub(crate) statement: Option<PathBuf>,
}

impl Naming {
    /// Whether nothing was given.
    pub(crate) fn is_empty(&self) -> bool {
        self.publisher.is_none() && self.name.is_none() && self.version.is_none()
    }

    /// The name of what is at a path and says nothing of itself.
    pub(crate) fn release(&self, path: &Path) -> Result<Named, Failure> {
        if let (Some(publisher), Some(name), Some(version)) = (&self.publisher, &self.name, &self.version) {
            let (publisher, name, version) = (publisher.clone(), name.clone(), version.clone());
            return Ok(Named { publisher, name, version });
        }
        let path = path.display();
        Err(Failure::new(format!(
            "`{path}` is no package, and says nothing of its publisher, name and version"
        ))
        .with_hint("give them with `--publisher`, `--name` and `--version`"))
    }
}
