// SPDX-License-Identifier: Apache-2.0
//! `l3af-hub schema` and `l3af-hub reindex`: what the tables are, and those that are made of others.

use std::io::{self, Write as _};

use anyhow::{Context as _, Result};
use hub::{Config, Hub};
use jiff::Timestamp;

pub(super) async fn run(config: &Config, to: Option<i64>) -> Result<()> {
    match to {
        Some(version) => Ok(Hub::set_schema(config, version).await?),
        None => writeln!(io::stdout(), "{}", Hub::schema()).context("cannot write the version"),
    }
}

pub(super) async fn reindex(config: Config) -> Result<()> {
    let count = Hub::open(config, Timestamp::now).await?.reindex().await?;
    writeln!(io::stdout(), "{count} packages are indexed").context("cannot write what was done")
}
