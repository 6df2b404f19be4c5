// SPDX-License-Identifier: Apache-2.0
//! The arguments of `l3af lint`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::Logins;

/// Say what reviewers would say of a package: missing bounds, units and words, sizes, what its oldest kernel cannot do
///
/// A folder with `package.toml` is built first, as `l3af build` does it. It fails where there are errors.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  l3af lint programs/ratelimit
  l3af lint ratelimit-0.1.0.oci --deny warnings
  l3af lint --explain helper-too-new             why, and what to do
  l3af lint --explain                            all rules

A package may break a rule on purpose, and says so in `package.toml`; reviewers see it:
  [lint]
  allow = [{ rule = \"map-large\", why = \"one entry for each address of a /8\" }]")]
pub(crate) struct Lint {
    /// Folder with `package.toml`; folder of a package, or `oci://` and its reference; or an object (`.o`)
    #[arg(required_unless_present = "explain")]
    pub(crate) package: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) logins: Logins,
    /// Fail where there are these, too
    #[arg(long, value_name = "WHAT")]
    pub(crate) deny: Option<Denied>,
    /// Rule that may be broken; may be given several times
    #[arg(long, value_name = "RULE", value_parser = rule)]
    pub(crate) allow: Vec<&'static lint::Rule>,
    /// Explain a rule, or list all of them
    #[arg(long, value_name = "RULE", num_args = 0..=1, default_missing_value = ALL, value_parser = explained)]
    pub(crate) explain: Option<Explained>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// What is taken for an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Denied {
    /// What a reviewer would ask for
    Warnings,
}

/// What is to be explained.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Explained {
    /// Each rule in a line.
    All,
    /// One rule.
    One(&'static lint::Rule),
}

/// No rule has this name.
const ALL: &str = "all";

fn explained(name: &str) -> Result<Explained, String> {
    if name == ALL { Ok(Explained::All) } else { rule(name).map(Explained::One) }
}

fn rule(name: &str) -> Result<&'static lint::Rule, String> {
    lint::Rule::named(name)
        .ok_or_else(|| "there is no such rule; `l3af lint --explain` lists them".to_owned())
}
