// SPDX-License-Identifier: Apache-2.0
//! `l3af-hub schema`.

use std::io::{self, Write as _};

use anyhow::{Context as _, Result};
use hub::{Config, Hub};

pub(super) async fn run(config: &Config, to: Option<i64>) -> Result<()> {
    match to {
        Some(version) => Ok(Hub::set_schema(config, version).await?),
        None => writeln!(io::stdout(), "{}", Hub::schema()).context("cannot write the version"),
    }
}
