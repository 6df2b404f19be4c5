// SPDX-License-Identifier: Apache-2.0
//! The arguments of `l3af gen`.

use std::path::PathBuf;

use bindings::Language;
use clap::Args;

use super::Logins;

/// Write typed bindings of the maps of a package, for a program in user space
///
/// One file that needs nothing but the language: types for keys, values, events and global variables, and a handle for each map.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  l3af gen . --lang rust --output user/maps.rs
  l3af gen ratelimit-0.1.0.oci --lang c --output maps.h
  l3af gen filter.bpf.o --lang go --package main --output maps.go
  l3af gen oci://hub.example.org/network/ratelimit --lang python --output maps.py

docs/bindings.md says what is made of what.")]
pub(crate) struct Generate {
    /// Folder with `package.toml` and sources, whose objects are compiled; folder of a package, or `oci://` and its reference;
    /// or an object (`.o`)
    #[arg(value_name = "PACKAGE")]
    pub(crate) subject: PathBuf,
    #[command(flatten)]
    pub(crate) logins: Logins,
    /// Language: `rust`, `c`, `go` or `python`
    #[arg(long, value_name = "LANGUAGE")]
    pub(crate) lang: Language,
    /// File to write [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Name of the Go package [default: that of the package, without dashes]
    #[arg(long, value_name = "NAME", value_parser = go_package)]
    pub(crate) package: Option<String>,
}

fn go_package(text: &str) -> Result<String, String> {
    let legal = text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit());
    if legal {
        Ok(text.to_owned())
    } else {
        Err("it must be small letters and digits, a letter first".to_owned())
    }
}
