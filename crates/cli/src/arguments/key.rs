// SPDX-License-Identifier: Apache-2.0
//! What is said of keys on the command line.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use trust::Algorithm;

use crate::signing_key::{Passphrase, Passphrases, Reference, ReferenceParser};

/// Make, show and change keys
#[derive(Debug, Subcommand)]
pub(crate) enum Key {
    New(New),
    Show(Show),
    Public(Public),
    ChangePassphrase(ChangePassphrase),
}

/// Make a key: FILE signs (keep it secret), FILE.pub verifies (give it away); never overwrites
///
/// A passphrase encrypts FILE. It is asked for on the terminal, twice.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  l3af key new release.key
  l3af key new release.key --algorithm hybrid
  l3af key new scratch.key --no-passphrase")]
pub(crate) struct New {
    /// File of the private key
    pub(crate) file: PathBuf,
    /// What it signs with
    #[arg(long, value_enum, default_value = "ed25519")]
    pub(crate) algorithm: Kind,
    #[command(flatten)]
    pub(crate) passphrase: PassphraseFile,
    /// Leave FILE unencrypted: whoever reads it signs as you
    #[arg(long, conflicts_with = "passphrase_file")]
    pub(crate) no_passphrase: bool,
}

/// Kinds of keys that can be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// Ed25519: small and fast
    Ed25519,
    /// ECDSA on P-256, which cosign and most tokens and key services know
    Ecdsa,
    /// RSA-PSS with 3072 bits
    Rsa,
    /// ML-DSA-65, which quantum computers do not break
    #[value(name = "ml-dsa-65")]
    MlDsa65,
    /// Ed25519 and ML-DSA-65: two keys in one file, of which both must sign
    Hybrid,
}

impl Kind {
    /// The keys that it takes.
    pub(crate) fn algorithms(self) -> &'static [Algorithm] {
        match self {
            Self::Ed25519 => &[Algorithm::Ed25519],
            Self::Ecdsa => &[Algorithm::EcdsaP256],
            Self::Rsa => &[Algorithm::RsaPss],
            Self::MlDsa65 => &[Algorithm::MlDsa65],
            Self::Hybrid => &[Algorithm::Ed25519, Algorithm::MlDsa65],
        }
    }
}

/// Show the id of a key, its algorithm, and how it is kept
#[derive(Debug, Args)]
#[command(after_help = REFERENCES)]
pub(crate) struct Show {
    /// Key, private or public
    #[arg(value_parser = ReferenceParser)]
    pub(crate) key: Reference,
    #[command(flatten)]
    pub(crate) passphrase: PassphraseFile,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Print the public part of a key
#[derive(Debug, Args)]
#[command(after_help = REFERENCES)]
pub(crate) struct Public {
    /// Key
    #[arg(value_parser = ReferenceParser)]
    pub(crate) key: Reference,
    #[command(flatten)]
    pub(crate) passphrase: PassphraseFile,
}

/// Encrypt the key in a file with another passphrase
#[derive(Debug, Args)]
pub(crate) struct ChangePassphrase {
    /// File of the private key
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) passphrase: PassphraseFile,
    /// File whose first line is the new passphrase [default: asked for on the terminal]
    #[arg(long, value_name = "FILE")]
    pub(crate) new_passphrase_file: Option<PathBuf>,
    /// Leave the key unencrypted: whoever reads the file signs as you
    #[arg(long, conflicts_with = "new_passphrase_file")]
    pub(crate) no_passphrase: bool,
}

/// Which keys sign.
#[derive(Debug, Args)]
pub(crate) struct SigningKeys {
    /// Private key; several sign one statement
    #[arg(long = "key", required = true, value_name = "KEY", value_parser = ReferenceParser)]
    pub(crate) references: Vec<Reference>,
    #[command(flatten)]
    pub(crate) passphrase: PassphraseFile,
}

/// Where the passphrase is that opens keys.
#[derive(Debug, Args)]
pub(crate) struct PassphraseFile {
    /// File whose first line is the passphrase, or the PIN of a token [default: the environment
    /// variable `L3AF_PASSPHRASE`, else asked for]
    #[arg(long, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
}

impl PassphraseFile {
    /// Where passphrases come from, with that of the environment.
    pub(crate) fn passphrases(&self, environment: Option<&Passphrase>) -> Passphrases {
        Passphrases::new(self.passphrase_file.as_deref(), environment)
    }
}

/// What every command that signs tells of its keys.
pub(crate) const REFERENCES: &str = "\
A key is one of
  FILE                               what `l3af key new` or `openssl genpkey` made
  pkcs11:object=O?module-path=M      a key on a token (RFC 7512)
  command:PUBLIC PROGRAM ARGUMENT... a program that gets on stdin what to sign and answers
                                     with the signature; PUBLIC is the file of its public
                                     key. Words end at blanks, no shell is run";
