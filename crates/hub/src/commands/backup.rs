// SPDX-License-Identifier: Apache-2.0
//! `l3af-hub backup` and `l3af-hub restore`.

use std::io::{self, Write as _};
use std::path::Path;

use anyhow::{Context as _, Result};
use hub::{Backup, Config, Hub};
use jiff::Timestamp;

pub(super) async fn make(config: Config, folder: &Path) -> Result<()> {
    let hub = Hub::open(config, Timestamp::now).await?;
    say(&hub.back_up(folder).await?)
}

pub(super) async fn restore(config: &Config, folder: &Path) -> Result<()> {
    say(&Backup::restore(folder, config).await?)
}

fn say(backup: &Backup) -> Result<()> {
    let Backup { rows, blobs, made, .. } = backup;
    writeln!(io::stdout(), "{rows} rows and {blobs} blobs, of {made}").context("cannot write what was done")
}
