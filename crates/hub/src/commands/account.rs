// SPDX-License-Identifier: Apache-2.0
//! `l3af-hub account`: closing accounts, and opening them again, for whoever has the machine.

use std::io::{self, Write as _};

use anyhow::{Context as _, Result};
use clap::Subcommand;
use hub::{Config, Hub};
use jiff::Timestamp;

#[derive(Debug, Subcommand)]
pub(crate) enum Account {
    /// End all that somebody may do here: logins, tokens, memberships, keys. What they did stays on record.
    Close {
        /// Who leaves.
        handle: String,
        /// Who owns a publisher from now on that would be without an owner: `acme=bob`.
        #[arg(long = "successor", value_name = "PUBLISHER=HANDLE", value_parser = pair)]
        successors: Vec<(String, String)>,
        /// Why, for the record.
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// Open a closed account again. It is a member of nothing, and has no tokens.
    Reopen {
        /// Who comes back.
        handle: String,
    },
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (publisher, handle) = text.split_once('=').ok_or("it has the form `PUBLISHER=HANDLE`")?;
    Ok((publisher.to_owned(), handle.to_owned()))
}

pub(super) async fn run(command: Account, config: Config) -> Result<()> {
    let hub = Hub::open(config, Timestamp::now).await?;
    let told = match command {
        Account::Close { handle, successors, reason } => {
            hub.close_account(&handle, successors, reason).await?
        }
        Account::Reopen { handle } => hub.reopen_account(&handle).await?,
    };
    writeln!(io::stdout(), "{told}").context("cannot say what was done")
}
