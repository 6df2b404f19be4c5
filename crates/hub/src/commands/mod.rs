// SPDX-License-Identifier: Apache-2.0
//! What the program can be told to do, one module for each command.

mod account;
mod administrator;
mod audit;
mod backup;
mod check;
mod export;
mod mirror;
mod publisher;
mod rebuild;
mod reindex;
mod schema;
mod serve;

use std::path::PathBuf;

use anyhow::Result;
use clap::Subcommand;
use hub::{Config, Pattern};

use self::account::Account;
use self::audit::Audit;
use self::mirror::Mirror;
use self::publisher::Publisher;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Answer requests until told to end.
    Serve,
    /// Make somebody an administrator, by a link that counts once.
    Administrator {
        /// Print a new link, also where there is an administrator.
        #[arg(long, required = true)]
        new_link: bool,
    },
    /// Somebody leaves, or comes back.
    #[command(subcommand)]
    Account(Account),
    /// Who has a namespace in this hub.
    #[command(subcommand)]
    Publisher(Publisher),
    /// What is taken from other hubs, and from exported folders.
    #[command(subcommand)]
    Mirror(Mirror),
    /// Write packages with all that refers to them into a folder, which another hub takes them from. What is there of the last export
    /// is brought up to date.
    Export {
        /// Where to.
        folder: PathBuf,
        /// Which packages: `l3af/*`.
        #[arg(long, required = true, num_args = 1.., value_name = "PATTERN")]
        packages: Vec<Pattern>,
    },
    /// Look at the record of changes.
    #[command(subcommand)]
    Audit(Audit),
    /// Read every blob and manifest, and say what is not as it should be. The hub may run meanwhile.
    Check {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Make the database anew, which must be empty, of what lies in the storage: packages, releases, tags, and what was taken down;
    /// but no accounts.
    Rebuild,
    /// Make the index of packages anew, also while a hub serves.
    Reindex,
    /// Write everything into a folder, beside a hub that answers requests; what is there of the last backup is brought up to date.
    Backup {
        /// Where to.
        folder: PathBuf,
    },
    /// Take everything from a backup, into the database and the storage of the configuration, which must be new.
    Restore {
        /// Where from.
        folder: PathBuf,
    },
    /// Say the version of the tables that this program works with, or bring them to another while no hub runs: `serve` brings them
    /// up by itself, and before an older program is installed this one brings them back.
    Schema {
        /// The version that the tables shall have.
        #[arg(long, value_name = "VERSION")]
        to: Option<i64>,
    },
}

impl Command {
    pub(crate) async fn run(self, config: Config) -> Result<()> {
        match self {
            Self::Serve => serve::run(config).await,
            Self::Administrator { .. } => administrator::run(config).await,
            Self::Account(command) => account::run(command, config).await,
            Self::Publisher(Publisher::Add { name, registry_only }) => {
                publisher::add(config, &name, registry_only).await
            }
            Self::Export { folder, packages } => export::run(config, &folder, &packages).await,
            Self::Mirror(command) => mirror::run(command, config).await,
            Self::Audit(command) => audit::run(command, config).await,
            Self::Check { json } => check::run(config, json).await,
            Self::Rebuild => rebuild::run(config).await,
            Self::Reindex => reindex::run(config).await,
            Self::Backup { folder } => backup::make(config, &folder).await,
            Self::Restore { folder } => backup::restore(&config, &folder).await,
            Self::Schema { to } => schema::run(&config, to).await,
        }
    }
}
