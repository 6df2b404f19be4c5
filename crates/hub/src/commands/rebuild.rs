// SPDX-License-Identifier: Apache-2.0
//! `l3af-hub rebuild`.

use std::io::{self, Write as _};

use anyhow::{Context as _, Result, bail};
use hub::{Config, Hub};
use jiff::Timestamp;

/// Prints what the database was made of, and fails if something could not be had.
pub(super) async fn run(config: Config) -> Result<()> {
    let rebuilt = Hub::rebuild(&config, Timestamp::now().as_millisecond()).await?;
    let mut lines = rebuilt.problems.clone();
    lines.push(format!("{} repositories with {} manifests\n", rebuilt.repositories, rebuilt.manifests));
    io::stdout().write_all(lines.join("\n").as_bytes()).context("cannot write what was done")?;
    match rebuilt.problems.len() {
        0 => Ok(()),
        count => bail!("{count} things could not be had; the rest is there"),
    }
}
