// SPDX-License-Identifier: Apache-2.0
//! `l3af key`: makes, shows and changes keys.

use std::path::Path;

use serde::Serialize;
use trust::{Algorithm, KeyId, PrivateKey, PublicKey, Signer};

use crate::arguments::{ChangePassphrase, Key, New, Public, Show};
use crate::failure::{Failure, Outcome};
use crate::output;
use crate::signing_key::{self, KeyFile, Passphrase, Passphrases, Reference};

const NEW: &str = "give one by `--passphrase-file FILE` or in the environment variable `L3AF_PASSPHRASE`, or say \
                   `--no-passphrase` to leave the key unencrypted";
const CHANGED: &str =
    "give the new one by `--new-passphrase-file FILE`, or say `--no-passphrase` to leave the key unencrypted";

pub(crate) fn run(command: &Key, environment: Option<&Passphrase>) -> Outcome {
    match command {
        Key::New(arguments) => new(arguments, &arguments.passphrase.passphrases(environment)),
        Key::Show(arguments) => show(arguments, &arguments.passphrase.passphrases(environment)),
        Key::Public(arguments) => public(arguments, &arguments.passphrase.passphrases(environment)),
        Key::ChangePassphrase(arguments) => {
            change_passphrase(arguments, &arguments.passphrase.passphrases(environment))
        }
    }
}

/// One key, as it is shown.
#[derive(Serialize)]
struct Shown {
    id: KeyId,
    algorithm: Algorithm,
    kept: Kept,
}

/// What is known of where a key is.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Kept {
    Public,
    Encrypted,
    Unencrypted,
    Token,
    Command,
}

fn new(arguments: &New, passphrases: &Passphrases) -> Outcome {
    let file = arguments.file.display();
    // Nobody should think of a passphrase in vain.
    if arguments.file.exists() {
        return Err(Failure::new(format!("cannot make `{file}`: there is one already"))
            .with_hint("keys are never overwritten; choose another name"));
    }
    let passphrase =
        if arguments.no_passphrase { None } else { Some(choose(passphrases, &arguments.file, NEW)?) };
    let keys: Vec<PrivateKey> =
        arguments.algorithm.algorithms().iter().map(|algorithm| PrivateKey::generate(*algorithm)).collect();
    let public = signing_key::create_pair(&arguments.file, &keys, passphrase.as_ref())?;
    let secrecy = if passphrase.is_some() { "keep it and its passphrase secret" } else { "keep it secret" };
    output::note(&format!("`{file}` signs: {secrecy}, keep a copy"));
    output::note(&format!("`{}` verifies: give it to those who shall trust you", public.display()));
    for key in &keys {
        output::data(&key.public().id().to_string());
    }
    Ok(())
}

fn show(arguments: &Show, passphrases: &Passphrases) -> Outcome {
    let (keys, kept) = public_keys(&arguments.key, passphrases)?;
    let shown: Vec<Shown> =
        keys.iter().map(|key| Shown { id: key.id(), algorithm: key.algorithm(), kept }).collect();
    if arguments.json {
        return output::json(&shown);
    }
    for key in shown {
        output::data(&format!("{}  {:<19}  {}", key.id, key.algorithm, key.kept.words()));
    }
    Ok(())
}

fn public(arguments: &Public, passphrases: &Passphrases) -> Outcome {
    let (keys, _) = public_keys(&arguments.key, passphrases)?;
    let text: String = keys.iter().map(PublicKey::to_pem).collect();
    output::data(text.trim_end());
    Ok(())
}

fn change_passphrase(arguments: &ChangePassphrase, passphrases: &Passphrases) -> Outcome {
    let keys = KeyFile::read(&arguments.file)?.open(passphrases)?;
    // The environment opened the key; the new passphrase is another one.
    let chosen = Passphrases::new(arguments.new_passphrase_file.as_deref(), None);
    let passphrase =
        if arguments.no_passphrase { None } else { Some(choose(&chosen, &arguments.file, CHANGED)?) };
    signing_key::replace(&arguments.file, &keys, passphrase.as_ref())?;
    let now = if passphrase.is_some() { "has another passphrase" } else { "is not encrypted any more" };
    output::note(&format!("`{}` {now}; copies of it are as they were", arguments.file.display()));
    Ok(())
}

fn choose(passphrases: &Passphrases, file: &Path, hint: &str) -> Result<Passphrase, Failure> {
    passphrases.choose(&format!("`{}`", file.display()), hint)
}

/// The public parts of a key, and how it is kept. What a file holds openly is not asked a passphrase for.
fn public_keys(reference: &Reference, passphrases: &Passphrases) -> Result<(Vec<PublicKey>, Kept), Failure> {
    let kept = match reference {
        Reference::File(path) => {
            let file = KeyFile::read(path)?;
            if let Some(signer) = file.public() {
                return Ok((signer.keys().to_vec(), Kept::Public));
            }
            let kept = if file.is_encrypted() { Kept::Encrypted } else { Kept::Unencrypted };
            let keys = file.open(passphrases)?;
            return Ok((keys.iter().map(|key| key.public().clone()).collect(), kept));
        }
        Reference::Token(_) => Kept::Token,
        Reference::Command(_) => Kept::Command,
    };
    let keys = signing_key::open(reference, passphrases)?;
    Ok((keys.iter().map(|key| key.public().clone()).collect(), kept))
}

impl Kept {
    fn words(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Encrypted => "private, encrypted",
            Self::Unencrypted => "private, not encrypted",
            Self::Token => "on a token",
            Self::Command => "behind a command",
        }
    }
}

/// Reads the public keys of a signer.
pub(crate) fn signer(file: &Path) -> Result<Signer, Failure> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failure::new(format!("cannot read `{}`: {error}", file.display())))?;
    Signer::from_pem(&text).map_err(|error| Failure::new(format!("`{}`: {error}", file.display())))
}
