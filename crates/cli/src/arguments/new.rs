// SPDX-License-Identifier: Apache-2.0
//! The arguments of `l3af new`.

use bindings::Language;
use clap::Args;
use package::{HookPoint, PackageName, ProgramKind, PublisherName};

/// Begin a package: make a folder with a program that builds and runs as it is
///
/// The program counts how often it runs. There is no code for chaining or maps in it: the daemon does the one, and bindings
/// that `l3af gen` makes do the other.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  l3af new guard --hook xdp
  l3af new guard --hook tc --user rust --publisher example
  l3af new connects --hook fentry --user python")]
pub(crate) struct NewPackage {
    /// Name of the package, and of the folder that is made here
    pub(crate) name: PackageName,
    /// Where its program runs: `xdp`, `tc-ingress` (or `tc`), `tc-egress`, or a kind of probe such as `kprobe` or `tracepoint`
    #[arg(long, value_name = "HOOK", value_parser = hook)]
    pub(crate) hook: ProgramKind,
    /// Language of a program for user space: `rust`, `c`, `go`, `python`, or `none`
    #[arg(long, value_name = "LANGUAGE", default_value = "none", value_parser = user)]
    pub(crate) user: User,
    /// Whose package it is
    #[arg(long, value_name = "NAME", default_value = "example")]
    pub(crate) publisher: PublisherName,
}

/// The language of a program for user space, if there is to be one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct User(pub(crate) Option<Language>);

fn hook(text: &str) -> Result<ProgramKind, package::BadProgramKind> {
    if text == "tc" { Ok(ProgramKind::Chain(HookPoint::TcIngress)) } else { text.parse() }
}

fn user(text: &str) -> Result<User, String> {
    match text {
        "none" => Ok(User(None)),
        _ => {
            text.parse().map(|language| User(Some(language))).map_err(|error| format!("{error}, and `none`"))
        }
    }
}
