// SPDX-License-Identifier: Apache-2.0
//! How a command logs in at registries.

use std::path::PathBuf;

use clap::Args;

/// Where logins for registries are.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Logins {
    /// File with logins for registries, as `docker login` writes it [default: ~/.docker/config.json]
    #[arg(long, value_name = "FILE", env = "REGISTRY_AUTH_FILE")]
    authfile: Option<PathBuf>,
}

impl Logins {
    /// The file that was named, or else the usual one, if there is one.
    pub(crate) fn file(&self) -> Option<PathBuf> {
        self.authfile.clone().or_else(|| usual().filter(|file| file.exists()))
    }

    /// The file that a login is kept in; none where nobody has a home.
    pub(crate) fn kept_in(&self) -> Option<PathBuf> {
        self.authfile.clone().or_else(usual)
    }
}

fn usual() -> Option<PathBuf> {
    std::env::home_dir().map(|home| home.join(".docker/config.json"))
}
