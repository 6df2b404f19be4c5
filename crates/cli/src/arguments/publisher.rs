// SPDX-License-Identifier: Apache-2.0
//! The arguments of `l3af publisher`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use package::PublisherName;
use trust::{Pen, Role};
use wire::hub::{Amount, Currency, Link, Period, Price};

use super::hub::Hub;
use super::key::PassphraseFile;
use super::logins::Logins;
use super::publishing::{Distrust, Trust, Trusted};
use crate::signing_key::{Reference, ReferenceParser};

/// Say which keys speak for a publisher, in versions that the keys themselves sign (a TUF root)
///
/// A version is a file `N.root.json`. What still lacks signatures is `draft.root.json`: it goes from one owner of a key
/// to the next, or as a copy to each. Machines pin one version, and accept those that follow from it.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
From nothing to a root that two of three people sign:
  l3af publisher init example --root ada.key.pub --root ben.key.pub --root eve.key.pub \\
      --root-threshold 2 --release release.key.pub --key ada.key
  l3af publisher sign --key ben.key
  l3af publisher show

When a key is lost:
  l3af publisher rotate --from 74c181c7 --to new.key.pub --key ada.key
  l3af publisher sign --key ben.key")]
pub(crate) enum Publisher {
    Init(Init),
    AddKey(AddKey),
    RemoveKey(RemoveKey),
    Rotate(Rotate),
    Sign(SignRoot),
    Show(ShowRoot),
    Certify(Certify),
    Attach(Attach),
    Register(Register),
    Trust(Trust),
    Trusted(Trusted),
    Distrust(Distrust),
    Price(SetPrice),
}

/// Where the versions are.
#[derive(Debug, Args)]
pub(crate) struct Folder {
    /// Folder of the versions
    #[arg(long, value_name = "DIR", default_value = "publisher")]
    pub(crate) folder: PathBuf,
}

/// What every new version needs.
#[derive(Debug, Args)]
pub(crate) struct Making {
    #[command(flatten)]
    pub(crate) folder: Folder,
    /// Days after which the version expires
    #[arg(long, value_name = "DAYS", default_value_t = 365, value_parser = clap::value_parser!(u32).range(1..=36500))]
    pub(crate) expires_in_days: u32,
    /// Private key to sign with at once; may be given several times
    #[arg(long, value_name = "KEY", value_parser = ReferenceParser)]
    pub(crate) key: Vec<Reference>,
    #[command(flatten)]
    pub(crate) passphrase: PassphraseFile,
}

/// Register the versions at a hub, which takes what they sign from then on
#[derive(Debug, Args)]
pub(crate) struct Register {
    /// Name of the publisher
    pub(crate) name: PublisherName,
    #[command(flatten)]
    pub(crate) folder: Folder,
    #[command(flatten)]
    pub(crate) hub: Hub,
}

/// Say at a hub what is asked for a package, for owners; the hub tells it and takes no money
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  l3af publisher price hub.example.org/acme/scrubber --amount 49.00 --currency EUR --per month \\
      --link https://acme.example/scrubber
  l3af publisher price hub.example.org/acme/scrubber --free")]
pub(crate) struct SetPrice {
    /// Package: `host[:port]/publisher/name`
    pub(crate) package: wire::Reference,
    #[command(flatten)]
    pub(crate) logins: Logins,
    /// How much
    #[arg(long, value_name = "NUMBER", required_unless_present = "free", requires_all = ["currency", "per", "link"])]
    pub(crate) amount: Option<Amount>,
    /// Of what, as ISO 4217 calls it
    #[arg(long, value_name = "CODE", requires = "amount")]
    pub(crate) currency: Option<Currency>,
    /// For how long: `once` for good, `month` or `year`
    #[arg(long, value_name = "PERIOD", requires = "amount")]
    pub(crate) per: Option<Period>,
    /// Where it is sold
    #[arg(long, value_name = "URL", requires = "amount")]
    pub(crate) link: Option<Link>,
    /// Ask nothing for it
    #[arg(long, conflicts_with = "amount")]
    pub(crate) free: bool,
}

impl SetPrice {
    /// The price; none where it is to be free.
    pub(crate) fn price(&self) -> Option<Price> {
        let Self { amount, currency, per, link, .. } = self;
        // Either all of them are there or none is.
        Some(Price {
            amount: amount.clone()?,
            currency: currency.clone()?,
            per: (*per)?,
            link: link.clone()?,
        })
    }
}

/// Begin: make version 1
#[derive(Debug, Args)]
pub(crate) struct Init {
    /// Name of the publisher, as in the packages
    pub(crate) name: PublisherName,
    /// Public key that signs versions of the root; several make several signers
    #[arg(long, required = true, value_name = "FILE")]
    pub(crate) root: Vec<PathBuf>,
    /// How many of them must sign
    #[arg(long, value_name = "COUNT", default_value_t = 1)]
    pub(crate) root_threshold: usize,
    /// Public key that signs releases; several make several signers
    #[arg(long, required = true, value_name = "FILE")]
    pub(crate) release: Vec<PathBuf>,
    /// How many of them must sign
    #[arg(long, value_name = "COUNT", default_value_t = 1)]
    pub(crate) release_threshold: usize,
    #[command(flatten)]
    pub(crate) making: Making,
}

/// Let a key speak for the publisher
#[derive(Debug, Args)]
pub(crate) struct AddKey {
    /// Public key; a file with two is a hybrid, which counts once and only if both signed
    pub(crate) file: PathBuf,
    /// What for: `root` signs versions of the root, `release` releases; may be given several times
    #[arg(long, required = true)]
    pub(crate) role: Vec<Role>,
    /// How many signers of these roles must sign from now on [default: as many as before]
    #[arg(long, value_name = "COUNT")]
    pub(crate) threshold: Option<usize>,
    #[command(flatten)]
    pub(crate) making: Making,
}

/// Let a key speak no longer: it is revoked when it is in no role of the newest version
#[derive(Debug, Args)]
pub(crate) struct RemoveKey {
    /// How the id of the key begins
    pub(crate) key_id: String,
    /// In which role; may be given several times [default: both]
    #[arg(long)]
    pub(crate) role: Vec<Role>,
    /// How many signers of these roles must sign from now on [default: as many as before]
    #[arg(long, value_name = "COUNT", requires = "role")]
    pub(crate) threshold: Option<usize>,
    #[command(flatten)]
    pub(crate) making: Making,
}

/// Make the next version: with another key in the place of one, with other thresholds, or the same once more
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  l3af publisher rotate --key ada.key                          the same, for another year
  l3af publisher rotate --from 74c181c7 --to new.key.pub
  l3af publisher rotate --threshold release=2")]
pub(crate) struct Rotate {
    /// How the id of the key to be replaced begins
    #[arg(long, value_name = "KEY ID", requires = "to")]
    pub(crate) from: Option<String>,
    /// Public key to put into its place
    #[arg(long, value_name = "FILE", requires = "from")]
    pub(crate) to: Option<PathBuf>,
    /// In which role; may be given several times [default: all that it has]
    #[arg(long, requires = "from")]
    pub(crate) role: Vec<Role>,
    /// How many signers of a role must sign from now on; may be given several times
    #[arg(long, value_name = "ROLE=COUNT", value_parser = threshold)]
    pub(crate) threshold: Vec<(Role, usize)>,
    #[command(flatten)]
    pub(crate) making: Making,
}

/// Sign the draft; with the last signature it becomes a version
#[derive(Debug, Args)]
pub(crate) struct SignRoot {
    #[command(flatten)]
    pub(crate) folder: Folder,
    /// Private key of the role `root`, of the draft or of the version before; may be given several times
    #[arg(long, value_name = "KEY", value_parser = ReferenceParser, required_unless_present = "from")]
    pub(crate) key: Vec<Reference>,
    #[command(flatten)]
    pub(crate) passphrase: PassphraseFile,
    /// Copy of the draft that somebody else signed: take over the signatures; may be given several times
    #[arg(long, value_name = "FILE")]
    pub(crate) from: Vec<PathBuf>,
}

/// Put the versions beside a package that was signed before, so that who runs it learns of them: that is how a key is revoked
///
/// Machines look for new versions beside the packages that they run, hourly. `l3af sign --roots` attaches them to a package
/// while it is signed.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  l3af publisher attach oci://registry.example.org/example/ratelimit:1.0.0")]
pub(crate) struct Attach {
    /// Folder of the package, or `oci://` and its reference in a registry; may be given several times
    #[arg(required = true, value_name = "PACKAGE")]
    pub(crate) packages: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) folder: Folder,
    #[command(flatten)]
    pub(crate) logins: Logins,
}

/// Certify that a version of the root is an organisation's, with the key of a certificate
///
/// The certificate has an identifier below the organisation's arc, 1.3.6.1.4.1.NUMBER. Keys of the root need none, and may
/// be of any algorithm. Machines whose policy demands the number accept what is signed under this version and those after it.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  l3af publisher certify publisher/1.root.json --key organisation.key --certificates organisation.pem")]
pub(crate) struct Certify {
    /// Version of the root: the one that machines pin, or one after it
    #[arg(value_name = "ROOT")]
    pub(crate) root: PathBuf,
    /// Private key that the first certificate is for
    #[arg(long, value_name = "KEY", value_parser = ReferenceParser)]
    pub(crate) key: Reference,
    #[command(flatten)]
    pub(crate) passphrase: PassphraseFile,
    /// Certificates (PEM), that of the key first, each issued by the next
    #[arg(long, value_name = "FILE")]
    pub(crate) certificates: PathBuf,
    /// The organisation's Private Enterprise Number [default: the one of the certificate]
    #[arg(long, value_name = "NUMBER", value_parser = pen)]
    pub(crate) pen: Option<Pen>,
    /// Whose root it is, where that does not say it itself
    #[arg(long, value_name = "NAME")]
    pub(crate) publisher: Option<PublisherName>,
    /// Days after which it holds no longer [default: it does as long as the certificate]
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=36500))]
    pub(crate) expires_in_days: Option<u32>,
    /// File to write [default: beside ROOT, with `.certification.json` in place of `.json`]
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

/// Show the versions, who speaks in which role, and what a draft lacks
#[derive(Debug, Args)]
pub(crate) struct ShowRoot {
    #[command(flatten)]
    pub(crate) folder: Folder,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

pub(super) fn pen(text: &str) -> Result<Pen, String> {
    let number: u32 = text.parse().map_err(|error| format!("`{text}` is no number: {error}"))?;
    Pen::try_from(number).map_err(|error| error.to_string())
}

fn threshold(text: &str) -> Result<(Role, usize), String> {
    let (role, count) = text.split_once('=').ok_or("it must be `ROLE=COUNT`")?;
    let role = role.parse::<Role>().map_err(|error| error.to_string())?;
    let count = count.parse().map_err(|error| format!("`{count}` is no number: {error}"))?;
    Ok((role, count))
}
