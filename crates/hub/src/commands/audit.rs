// SPDX-License-Identifier: Apache-2.0
//! `l3af-hub audit`: the record of changes, written out and verified.

use std::fs::File;
use std::io::{self, BufReader, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::Subcommand;
use hub::{Config, Hub};
use jiff::Timestamp;

#[derive(Debug, Subcommand)]
pub(crate) enum Audit {
    /// Write all of it as lines of JSON, and verify it on the way.
    Export,
    /// Verify it: that of the database, or one that was exported.
    Verify {
        /// Lines of JSON that `export` wrote; `-` reads the input.
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
    },
}

pub(super) async fn run(command: Audit, config: Config) -> Result<()> {
    match command {
        Audit::Export => export(config, &mut io::stdout().lock()).await,
        Audit::Verify { file: None } => export(config, &mut io::sink()).await,
        Audit::Verify { file: Some(file) } => verify(&file),
    }
}

/// Writes the record of the database, and says on standard error what it is.
async fn export(config: Config, out: &mut impl Write) -> Result<()> {
    let hub = Hub::open(config, Timestamp::now).await?;
    let told = hub.export_audit(out).await.context("the record of changes is not whole")?;
    writeln!(io::stderr(), "verified: {told}").context("cannot write what was found")
}

fn verify(file: &Path) -> Result<()> {
    let told = if file == Path::new("-") {
        hub::verify_audit(io::stdin().lock())
    } else {
        let opened = File::open(file).with_context(|| format!("cannot read `{}`", file.display()))?;
        hub::verify_audit(BufReader::new(opened))
    };
    let told = told.with_context(|| format!("the record in `{}` is not whole", file.display()))?;
    writeln!(io::stderr(), "verified: {told}").context("cannot write what was found")
}
