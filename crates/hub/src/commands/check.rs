// SPDX-License-Identifier: Apache-2.0
//! `l3af-hub check`.

use std::io::{self, Write as _};

use anyhow::{Context as _, Result, bail};
use hub::{Config, Hub};
use jiff::Timestamp;

/// Prints what a check found, and fails if anything is not as it should be.
pub(super) async fn run(config: Config, json: bool) -> Result<()> {
    let hub = Hub::open(config, Timestamp::now).await?;
    let report = hub.check().await?;
    let mut text = if json {
        serde_json::to_string(&report)?
    } else {
        let lines = report.problems.iter().map(|problem| format!("{problem}\n"));
        let (blobs, bytes, manifests) = (report.blobs, report.bytes, report.manifests);
        lines.collect::<String>()
            + &format!("{blobs} blobs ({bytes} bytes) and {manifests} manifests were read")
            + &match report.strays {
                0 => String::new(),
                strays => format!("; {strays} objects belong to nothing and will be removed"),
            }
    };
    text.push('\n');
    io::stdout().write_all(text.as_bytes()).context("cannot write what was found")?;
    match report.problems.len() {
        0 => Ok(()),
        count => bail!(
            "{count} things are not as they should be; hint: push what is missing or changed again, or take it from a backup"
        ),
    }
}
