// SPDX-License-Identifier: Apache-2.0
//! What signs: keys in files, on tokens, behind commands. Whoever signs asks [`open`] and need not know which.
//!
//! A signature is checked with the public key before anybody gets it. No private key, passphrase or PIN is ever printed,
//! and what is read of them is cleared.

mod command;
mod file;
mod passphrase;
mod reference;
mod token;
mod token_uri;

use trust::{Checked, Sign};

pub(crate) use file::{KeyFile, create_pair, replace};
pub(crate) use passphrase::{Passphrase, Passphrases};
pub(crate) use reference::{Reference, ReferenceParser};

use crate::arguments::SigningKeys;
use crate::failure::Failure;

/// The keys that a reference leads to: one, or the two of a hybrid.
pub(crate) fn open(reference: &Reference, passphrases: &Passphrases) -> Result<Vec<Box<dyn Sign>>, Failure> {
    match reference {
        Reference::File(path) => {
            let keys = KeyFile::read(path)?.open(passphrases)?;
            Ok(keys.into_iter().map(|key| -> Box<dyn Sign> { Box::new(Checked::new(key)) }).collect())
        }
        Reference::Token(uri) => Ok(vec![Box::new(Checked::new(token::open(uri, passphrases)?))]),
        Reference::Command(command) => Ok(vec![Box::new(Checked::new(command::open(command)?))]),
    }
}

/// All keys that a command line names, in its order.
pub(crate) fn open_all(
    keys: &SigningKeys,
    environment: Option<&Passphrase>,
) -> Result<Vec<Box<dyn Sign>>, Failure> {
    let passphrases = keys.passphrase.passphrases(environment);
    let opened = keys.references.iter().map(|reference| open(reference, &passphrases));
    Ok(opened.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
}
