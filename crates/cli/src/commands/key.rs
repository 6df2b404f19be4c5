// SPDX-License-Identifier: Apache-2.0
//! `l3af key`: makes and shows keys.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use trust::{Algorithm, PrivateKey, Signer};

use crate::arguments::Key;
use crate::failure::{Failure, Outcome};
use crate::output;

pub(crate) fn run(command: &Key) -> Outcome {
    match command {
        Key::New { file } => new(file),
        Key::Show { file } => show(file),
    }
}

fn new(file: &Path) -> Outcome {
    let key = PrivateKey::generate(Algorithm::Ed25519);
    let public = public_path(file);
    create(file, &key.to_pem(), 0o600)?;
    if let Err(failure) = create(&public, &key.public().to_pem(), 0o644) {
        // Half a pair is of no use, and would be in the way of the next attempt.
        std::fs::remove_file(file)?;
        return Err(failure);
    }
    output::note(&format!("`{}` signs: keep it secret, keep a copy", file.display()));
    output::note(&format!("`{}` verifies: give it to those who shall trust you", public.display()));
    output::data(&key.public().id().to_string());
    Ok(())
}

fn show(file: &Path) -> Outcome {
    let text = read(file)?;
    let keys = match PrivateKey::all_from_pem(&text, None) {
        Ok(private) => private.iter().map(|key| key.public().clone()).collect(),
        Err(_) => signer(file)?.keys().to_vec(),
    };
    for key in keys {
        output::data(&format!("{}  {}", key.id(), key.algorithm()));
    }
    Ok(())
}

/// Reads the public keys of a signer.
pub(crate) fn signer(file: &Path) -> Result<Signer, Failure> {
    Signer::from_pem(&read(file)?).map_err(|error| Failure::new(format!("`{}`: {error}", file.display())))
}

/// Reads the private keys of a signer.
pub(crate) fn private_keys(file: &Path) -> Result<Vec<PrivateKey>, Failure> {
    PrivateKey::all_from_pem(&read(file)?, None).map_err(|error| {
        Failure::new(format!("`{}`: {error}", file.display())).with_hint("`l3af key new FILE` makes a key")
    })
}

fn read(file: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(file)
        .map_err(|error| Failure::new(format!("cannot read `{}`: {error}", file.display())))
}

fn public_path(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".pub");
    PathBuf::from(name)
}

fn create(path: &Path, text: &str, mode: u32) -> Outcome {
    let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    let written = file.and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    written.map_err(|error| {
        Failure::new(format!("cannot make `{}`: {error}", path.display()))
            .with_hint("keys are never overwritten; choose another name")
    })
}
