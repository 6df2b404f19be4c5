// SPDX-License-Identifier: Apache-2.0
//! The command line: one variant for each command. The environment is read here and nowhere else.

pub(crate) mod adopt;
pub(crate) mod build;
mod daemon;
pub(crate) mod generate;
pub(crate) mod history;
pub(crate) mod hub;
mod key;
pub(crate) mod lint;
mod logins;
pub(crate) mod maps;
mod naming;
pub(crate) mod new;
pub(crate) mod publisher;
pub(crate) mod publishing;
mod shown;
mod test;
mod watching;

use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use package::{AttachKey, AttachValue, Enforcement, MemberName, Platform, ProgramName};
use serde_json::Value;
use trust::Pen;
use wire::Reference;

pub(crate) use self::build::Build;
pub(crate) use self::daemon::Daemon;
pub(crate) use self::history::{Confirm, Diff, RollBack, Trial};
pub(crate) use self::key::{ChangePassphrase, Key, New, Public, REFERENCES, Show, SigningKeys};
pub(crate) use self::logins::Logins;
pub(crate) use self::naming::Naming;
pub(crate) use self::shown::{Chain, Events, Listing, Logs, Status};
pub(crate) use self::test::Test;
pub(crate) use self::watching::{Top, Why};
use crate::signing_key::Passphrase;

/// Builds, signs and runs eBPF packages.
///
/// A package is a folder (an OCI image layout) with eBPF objects, a manifest and documentation. Its publisher signs it; a
/// machine loads only what its policy trusts. Programs of several packages share a hook as a chain.
#[derive(Debug, Parser)]
#[command(name = "l3af", version, after_help = HELP, disable_help_subcommand = true)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) daemon: Daemon,
    /// Passphrase of keys; from the environment only
    #[arg(
        long,
        global = true,
        hide = true,
        value_parser = passphrase,
        env = "L3AF_PASSPHRASE",
        hide_env_values = true
    )]
    pub(crate) passphrase: Option<Passphrase>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Arguments {
    /// Reads the command line and the environment. When they cannot be read, the program says why and ends.
    pub(crate) fn read() -> Self {
        let mut command = Self::command();
        let matches = command.clone().get_matches();
        if matches.value_source("passphrase") == Some(ValueSource::CommandLine) {
            const WHY: &str = "a passphrase does not belong on a command line, where everybody on this machine sees \
                               it; use `--passphrase-file` or the environment variable `L3AF_PASSPHRASE`";
            command.error(ErrorKind::ArgumentConflict, WHY).exit();
        }
        let named = |what| matches.value_source(what) == Some(ValueSource::CommandLine);
        if named("socket") && named("node") {
            const WHY: &str = "`--socket` and `--node` name two daemons";
            command.error(ErrorKind::ArgumentConflict, WHY).exit();
        }
        let is_told = matches.value_source("socket") == Some(ValueSource::EnvVariable);
        let mut arguments = Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
        arguments.daemon.is_named = is_told || named("socket") || arguments.daemon.node.is_some();
        if named("socket") {
            // What is said here counts more than what the environment says.
            arguments.daemon.node = None;
        }
        arguments
    }
}

const HELP: &str = "\
From a C source to a signed package:
  l3af lint programs/ratelimit               what a reviewer would ask
  l3af build programs/ratelimit              makes ratelimit-0.1.0.oci
  l3af test ratelimit-0.1.0.oci              its programs meet the packets of its tests
  l3af inspect ratelimit-0.1.0.oci
  l3af key new release.key                   asks for a passphrase
  l3af sign ratelimit-0.1.0.oci --key release.key
  l3af verify ratelimit-0.1.0.oci --key release.key.pub

From a package to packets (with `l3afd` running):
  l3af run ratelimit-0.1.0.oci --on eth0 --set connections_per_second=50
  l3af chain eth0
  l3af stop ratelimit

`l3af COMMAND --help` tells more about each. A command that fails says why on stderr and exits with 1.";

const FILES: &str = "\
What is no package says nothing of itself. Name it; the statement lies beside it:
  l3af sign filter.o --key release.key --publisher example --name filter --version 1.0.0
  l3af sign filter.o --key release.key --publisher example --name filter --version 1.0.0 --platform windows/amd64
  l3af sign filter.sys --key release.key --publisher example --name filter --version 1.0.0
  l3af verify filter.sys --key release.key.pub --publisher example --name filter --version 1.0.0

An object for Linux and one for eBPF for Windows look alike: `--platform` says which it is.";

/// What is to be done.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Build(Build),
    Test(Test),
    Inspect(Inspect),
    Lint(lint::Lint),
    Gen(generate::Generate),
    New(new::NewPackage),
    #[command(subcommand)]
    Key(Key),
    #[command(subcommand)]
    Publisher(publisher::Publisher),
    Sign(Sign),
    #[command(name = "adopt-l3afd")]
    AdoptL3afd(adopt::AdoptL3afd),
    Endorse(Endorse),
    Verify(Verify),
    Push(Push),
    Pull(Pull),
    Login(hub::Login),
    AcceptNotice(hub::AcceptNotice),
    Search(hub::Search),
    Resolve(hub::Resolve),
    Yank(hub::Yank),
    Rate(hub::Rate),
    #[command(subcommand)]
    Review(hub::Review),
    Run(Run),
    Apply(Apply),
    Plan(Plan),
    Confirm(Confirm),
    Rollback(RollBack),
    /// List the generations that are kept
    Generations(Listing),
    Events(Events),
    Diff(Diff),
    Ps(Listing),
    /// List the probes
    Probes(Listing),
    Chain(Chain),
    Change(Change),
    Profile(Profile),
    Maps(maps::Maps),
    Get(maps::Get),
    Set(maps::Set),
    Watch(maps::Watch),
    Top(Top),
    Why(Why),
    Stop(Stop),
    Status(Status),
    Logs(Logs),
    Detach(Detach),
}

/// Show what is in a package or an object; nothing of it is believed
#[derive(Debug, Args)]
pub(crate) struct Inspect {
    /// Folder of the package, or `oci://` and its reference; or an object (`.o`), a driver of Windows (`.sys`) or an archive
    /// (`.tar.gz`, `.zip`)
    pub(crate) package: PathBuf,
    #[command(flatten)]
    pub(crate) logins: Logins,
    /// Statement about a file that is no package [default: FILE.l3af.json]
    #[arg(long, value_name = "FILE")]
    pub(crate) statement: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Sign a package or an object: state what it is, with your key
#[derive(Debug, Args)]
#[command(after_help = [FILES, REFERENCES].join("\n\n"))]
pub(crate) struct Sign {
    /// Folder of the package, or `oci://` and its reference; or an object (`.o`), a driver of Windows (`.sys`) or an archive
    /// (`.tar.gz`, `.zip`)
    pub(crate) package: PathBuf,
    #[command(flatten)]
    pub(crate) logins: Logins,
    #[command(flatten)]
    pub(crate) naming: Naming,
    /// Platform of a file that is no package [default: that of a driver; else Linux on this architecture]
    #[arg(long, value_name = "OS/ARCHITECTURE")]
    pub(crate) platform: Option<Platform>,
    #[command(flatten)]
    pub(crate) keys: SigningKeys,
    /// Folder of the publisher's root (see `l3af publisher`): its versions go with the package, and their
    /// certifications
    #[arg(long, value_name = "DIR")]
    pub(crate) roots: Option<PathBuf>,
    /// Add a sigstore bundle for `cosign verify` and its kin; takes an ECDSA key
    #[arg(long)]
    pub(crate) cosign: bool,
    /// Write such a bundle into a file
    #[arg(long, value_name = "FILE")]
    pub(crate) cosign_bundle: Option<PathBuf>,
    /// Private Enterprise Number to claim; certificates of the keys, or a certification of the root, prove it
    #[arg(long, value_name = "NUMBER", value_parser = publisher::pen)]
    pub(crate) pen: Option<Pen>,
    /// Days after which the statement holds no longer [default: it always does]
    #[arg(long, value_name = "DAYS")]
    pub(crate) expires_in_days: Option<u32>,
}

/// Speak for a package of somebody else: state that it may be trusted, with your key
///
/// It counts on machines whose policy names you as an `[[endorser]]`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  l3af endorse ratelimit-0.1.0.oci --key committee.key
  l3af endorse ratelimit-0.1.0.oci --key committee.key --root example/1.root.json --packages 'rate*'")]
pub(crate) struct Endorse {
    /// Folder of the package, or `oci://` and its reference in a registry
    pub(crate) package: PathBuf,
    #[command(flatten)]
    pub(crate) keys: SigningKeys,
    #[command(flatten)]
    pub(crate) logins: Logins,
    /// First root of the package's publisher: endorse what the publisher signs, in place of this release alone
    #[arg(long, value_name = "FILE")]
    pub(crate) root: Option<PathBuf>,
    /// With `--root`, for which packages; `*` stands for any letters
    #[arg(long, value_name = "PATTERNS", value_delimiter = ',', requires = "root", default_value = "*")]
    pub(crate) packages: Vec<String>,
    /// Days after which the statement holds no longer [default: it always does]
    #[arg(long, value_name = "DAYS")]
    pub(crate) expires_in_days: Option<u32>,
}

/// Say whether a package or an object is trusted, and why
#[derive(Debug, Args)]
#[command(after_help = "\
What is no package is signed and verified under a name that is given; see `l3af sign --help`.

A policy names publishers with their keys, and what they may publish:
  [[publisher]]
  name = \"example\"
  packages = [\"*\"]
  key_files = [\"example.pub\"]")]
pub(crate) struct Verify {
    /// Folder of the package, or `oci://` and its reference; or an object (`.o`), a driver of Windows (`.sys`) or an archive
    /// (`.tar.gz`, `.zip`)
    pub(crate) package: PathBuf,
    #[command(flatten)]
    pub(crate) logins: Logins,
    #[command(flatten)]
    pub(crate) naming: Naming,
    /// Trust policy
    #[arg(long, value_name = "FILE", default_value = "/etc/l3af/trust.toml")]
    pub(crate) policy: PathBuf,
    /// Public key to trust in place of a policy
    #[arg(long, value_name = "FILE", conflicts_with = "policy")]
    pub(crate) key: Option<PathBuf>,
    /// Platform to verify for, such as `linux/arm64` [default: this machine's; a driver's own]
    #[arg(long, value_name = "OS/ARCHITECTURE")]
    pub(crate) platform: Option<Platform>,
    /// List each rule, what it looked at, and how it ended
    #[arg(long)]
    pub(crate) explain: bool,
    /// Print that as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Put a package and its statements into a registry; prints the reference with the digest
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  l3af push ratelimit-0.1.0.oci hub.example.org/network/ratelimit     its version is the tag
  l3af push ratelimit-0.1.0.oci localhost:5000/ratelimit:stable")]
pub(crate) struct Push {
    /// Folder of the package
    pub(crate) package: PathBuf,
    /// Where to: `host[:port]/name[:tag]`
    pub(crate) reference: Reference,
    #[command(flatten)]
    pub(crate) logins: Logins,
    /// Do not wait for the checks of a hub
    #[arg(long)]
    pub(crate) no_wait: bool,
    /// Print it as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Copy a package and its statements from a registry into a folder; prints the reference with the digest
#[derive(Debug, Args)]
pub(crate) struct Pull {
    /// Where from: `host[:port]/name[:tag][@digest]`
    pub(crate) reference: Reference,
    /// Folder to write the package into [default: NAME-TAG.oci here]
    #[arg(long, short, value_name = "DIR")]
    pub(crate) output: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) logins: Logins,
    /// Print it as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Put a package into a chain, beside what runs there, or attach a probe
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  l3af run ratelimit-0.1.0.oci --on eth0/xdp --at 1 --set connections_per_second=50
  l3af run connects-0.1.0.oci --attach symbol=tcp_connect")]
pub(crate) struct Run {
    /// Folder of the package, or `oci://` and its reference in a registry
    pub(crate) package: PathBuf,
    #[command(flatten)]
    pub(crate) logins: Logins,
    /// Interface, with `/xdp`, `/tc-ingress` or `/tc-egress` where the package has programs for several
    #[arg(long, value_name = "INTERFACE[/HOOK]", required_unless_present_any = ["probe", "attach"])]
    pub(crate) on: Option<String>,
    /// Attach the package's probe in place of putting a program into a chain
    #[arg(long, conflicts_with_all = ["on", "at", "proceed", "enforcement"])]
    pub(crate) probe: bool,
    /// Where the probe attaches, as far as the package leaves that open; may be given several times
    #[arg(long, value_name = "OPTION=VALUE", value_parser = option, conflicts_with_all = ["on", "at", "proceed", "enforcement"])]
    pub(crate) attach: Vec<(AttachKey, AttachValue)>,
    /// Function to run, where the package has several that fit
    #[arg(long, value_name = "FUNCTION")]
    pub(crate) program: Option<ProgramName>,
    /// Position in the chain, from 1 [default: the end]
    #[arg(long, value_name = "POSITION")]
    pub(crate) at: Option<usize>,
    /// Name of the member [default: that of the package]
    #[arg(long)]
    pub(crate) name: Option<MemberName>,
    /// Verdicts after which the chain goes on, such as `pass,tx` [default: the package's]
    #[arg(long, value_name = "VERDICTS", value_delimiter = ',')]
    pub(crate) proceed: Option<Vec<String>>,
    /// For which packets its verdict counts: `enforce`, `shadow`, or a share of flows as in `canary 5%`
    #[arg(long, value_name = "HOW", default_value = "enforce")]
    pub(crate) enforcement: Enforcement,
    /// Value of a parameter, or what a map holds as JSON; may be given several times
    #[arg(long, value_name = "NAME=VALUE", value_parser = setting)]
    pub(crate) set: Vec<(String, Value)>,
    #[command(flatten)]
    pub(crate) trial: Trial,
}

/// Change a member while packets go on: its package, place, verdicts, parameters; or a probe, or a deployment
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  l3af change ratelimit --package ratelimit-0.2.0.oci    upgrade; its maps are kept
  l3af change ratelimit --enforcement 'canary 5%'
  l3af change ratelimit --at 1 --set burst=40
  l3af change ratelimit --disable")]
pub(crate) struct Change {
    /// Member, probe or deployment
    pub(crate) member: MemberName,
    /// Hook, where several chains have a member of this name
    #[arg(long, value_name = "INTERFACE/HOOK")]
    pub(crate) on: Option<String>,
    /// Folder of the package to run in its place, or `oci://` and its reference in a registry
    #[arg(long, value_name = "PACKAGE")]
    pub(crate) package: Option<PathBuf>,
    /// Position in the chain, from 1
    #[arg(long, value_name = "POSITION")]
    pub(crate) at: Option<usize>,
    /// Verdicts after which the chain goes on, such as `pass,tx`
    #[arg(long, value_name = "VERDICTS", value_delimiter = ',')]
    pub(crate) proceed: Option<Vec<String>>,
    /// For which packets its verdict counts: `enforce`, `shadow`, or a share of flows as in `canary 5%`
    #[arg(long, value_name = "HOW")]
    pub(crate) enforcement: Option<Enforcement>,
    /// Value of a parameter, or what a map holds as JSON; may be given several times
    #[arg(long, value_name = "NAME=VALUE", value_parser = setting)]
    pub(crate) set: Vec<(String, Value)>,
    /// Take it out of the chain; it keeps its place and its maps
    #[arg(long, conflicts_with = "enable")]
    pub(crate) disable: bool,
    /// Put it back into the chain
    #[arg(long)]
    pub(crate) enable: bool,
    #[command(flatten)]
    pub(crate) trial: Trial,
}

/// Measure how long the members of all chains take for a packet
#[derive(Debug, Args)]
pub(crate) struct Profile {
    /// How long to measure, in seconds
    #[arg(long = "for", value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub(crate) seconds: u32,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Tell what applying a document would do, and why; nothing is changed
#[derive(Debug, Args)]
pub(crate) struct Plan {
    /// Desired state (TOML)
    pub(crate) document: PathBuf,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Make a document the desired state
#[derive(Debug, Args)]
pub(crate) struct Apply {
    /// Desired state (TOML)
    pub(crate) document: PathBuf,
    /// Do nothing, and tell what would be done, as `l3af plan` does
    #[arg(long, conflicts_with = "confirm_within")]
    pub(crate) dry_run: bool,
    /// Refuse when the state in force is another generation than this
    #[arg(long, value_name = "NUMBER")]
    pub(crate) expect_generation: Option<u64>,
    #[command(flatten)]
    pub(crate) trial: Trial,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Take a member out of its chain, or take a probe off
#[derive(Debug, Args)]
pub(crate) struct Stop {
    /// Member or probe
    #[arg(required_unless_present = "all")]
    pub(crate) member: Option<MemberName>,
    /// Hook, where several chains have a member of this name
    #[arg(long, value_name = "INTERFACE/HOOK", requires = "member")]
    pub(crate) on: Option<String>,
    /// All members of all chains, and all probes
    #[arg(long, conflicts_with = "member")]
    pub(crate) all: bool,
}

/// Take everything off, also without the daemon
#[derive(Debug, Args)]
pub(crate) struct Detach {
    /// All chains of this machine; there is no smaller measure
    #[arg(long, required = true)]
    pub(crate) all: bool,
    /// Folder of pins
    #[arg(long, value_name = "DIR", default_value = "/sys/fs/bpf/l3af")]
    pub(crate) pins: PathBuf,
    /// Folder of the daemon's state
    #[arg(long, value_name = "DIR", default_value = "/var/lib/l3af")]
    pub(crate) state: PathBuf,
}

fn passphrase(text: &str) -> Result<Passphrase, String> {
    Passphrase::new(text.to_owned()).ok_or_else(|| "it is empty".to_owned())
}

fn option(text: &str) -> Result<(AttachKey, AttachValue), String> {
    let (key, value) = text.split_once('=').ok_or("it must be `OPTION=VALUE`")?;
    Ok((key.parse().map_err(|error| format!("there is no option `{key}`: {error}"))?, value.into()))
}

/// A value is JSON where it begins so, else a number, `true`, `false` or a word.
fn setting(text: &str) -> Result<(String, Value), String> {
    let (name, value) = text.split_once('=').ok_or("it must be `NAME=VALUE`")?;
    let value = match serde_json::from_str(value) {
        Ok(value) => value,
        Err(error) if value.starts_with(['"', '[', '{']) => return Err(format!("it is not JSON: {error}")),
        Err(_) => Value::from(value),
    };
    Ok((name.to_owned(), value))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_contradicts_itself_nowhere() {
        super::Arguments::command().debug_assert();
    }
}
