// SPDX-License-Identifier: Apache-2.0
//! Makes the index of packages anew from what the database has of them.

use anyhow::Result;
use hub::{Config, Hub};
use jiff::Timestamp;

pub(super) async fn run(config: Config) -> Result<()> {
    let count = Hub::open(config, Timestamp::now).await?.reindex().await?;
    tracing::info!(count, "all packages are indexed");
    Ok(())
}
