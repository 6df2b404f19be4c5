// SPDX-License-Identifier: Apache-2.0
//! `l3af-hub publisher`: namespaces that are given by whoever has the machine.

use anyhow::Result;
use clap::Subcommand;
use hub::{Config, Hub, Namespace, PublisherName};
use jiff::Timestamp;

#[derive(Debug, Subcommand)]
pub(crate) enum Publisher {
    /// Give somebody a namespace, where packages are pushed, checked, reviewed and released.
    Add {
        /// The first part of the names of their repositories.
        name: PublisherName,
        /// An ordinary registry instead: any tags, which may be moved and deleted, and no review.
        #[arg(long)]
        registry_only: bool,
    },
}

pub(super) async fn add(config: Config, name: &PublisherName, registry_only: bool) -> Result<()> {
    let hub = Hub::open(config, Timestamp::now).await?;
    let namespace = if registry_only { Namespace::Registry } else { Namespace::Packages };
    Ok(hub.add_publisher(name, namespace).await?)
}
