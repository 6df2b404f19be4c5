// SPDX-License-Identifier: Apache-2.0
//! The arguments of `l3af publisher` about jobs of CI that publish at a hub.

use clap::Args;
use package::PublisherName;

use super::hub::Hub;

/// Let jobs of CI publish at a hub by the token of their service, without a secret
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  l3af publisher trust acme --issuer https://token.actions.githubusercontent.com \\
      --claim repository=acme/guard --claim 'ref=refs/tags/v*' --package guard --hub hub.example.org
  l3af publisher trust acme --issuer https://gitlab.example.org --claim project_id=42 --hub hub.example.org")]
pub(crate) struct Trust {
    /// Name of the publisher
    pub(crate) name: PublisherName,
    /// The service, as `iss` in its tokens has it; one that the hub lets publish
    #[arg(long, value_name = "URL")]
    pub(crate) issuer: String,
    /// What a token must say; `*` stands for any characters; may come several times
    #[arg(long, value_name = "NAME=TEXT", required = true, value_parser = claim)]
    pub(crate) claim: Vec<(String, String)>,
    /// Package that may be published so; may come several times [default: all of the publisher]
    #[arg(long, value_name = "NAME")]
    pub(crate) package: Vec<String>,
    /// What it is called
    #[arg(long, value_name = "TEXT", default_value = "jobs of CI")]
    pub(crate) title: String,
    #[command(flatten)]
    pub(crate) hub: Hub,
}

/// List the rules by which jobs of CI publish
#[derive(Debug, Args)]
pub(crate) struct Trusted {
    /// Name of the publisher
    pub(crate) name: PublisherName,
    #[command(flatten)]
    pub(crate) hub: Hub,
    /// Print it as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Remove a rule by which jobs of CI publish; tokens that it gave count no more
#[derive(Debug, Args)]
pub(crate) struct Distrust {
    /// Name of the publisher
    pub(crate) name: PublisherName,
    /// Rule, as `l3af publisher trusted` lists it
    pub(crate) rule: String,
    #[command(flatten)]
    pub(crate) hub: Hub,
}

fn claim(text: &str) -> Result<(String, String), &'static str> {
    let (name, text) = text.split_once('=').ok_or("it must be `NAME=TEXT`")?;
    Ok((name.to_owned(), text.to_owned()))
}
