// SPDX-License-Identifier: Apache-2.0
//! `l3af-hub administrator`.

use std::io::{self, Write as _};

use anyhow::{Context as _, Result};
use hub::{Config, Hub};
use jiff::Timestamp;

pub(super) async fn run(config: Config) -> Result<()> {
    let hub = Hub::open(config, Timestamp::now).await?;
    let link = hub.access().new_administrator_link().await.context("no link can be made")?;
    writeln!(io::stdout(), "{link}").context("cannot write the link")
}
