// SPDX-License-Identifier: Apache-2.0
//! `l3af-hub export`.

use std::io::{self, Write as _};
use std::path::Path;

use anyhow::{Context as _, Result};
use hub::{Config, Exported, Hub, Pattern};
use jiff::Timestamp;

pub(super) async fn run(config: Config, folder: &Path, packages: &[Pattern]) -> Result<()> {
    let hub = Hub::open(config, Timestamp::now).await?;
    let Exported { packages, releases, new_blobs, new_bytes } = hub.export(folder, packages).await?;
    let told = format!(
        "{releases} releases, {new_blobs} new blobs ({new_bytes} bytes); {packages} packages are there"
    );
    writeln!(io::stdout(), "{told}").context("cannot write what was done")
}
