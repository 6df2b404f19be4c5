// SPDX-License-Identifier: Apache-2.0
//! Keys in files: PKCS#8 in PEM, encrypted or not; the two keys of a hybrid in one file.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use trust::{BadKey, PrivateKey, Salt, Signer};
use zeroize::Zeroizing;

use super::{Passphrase, Passphrases};
use crate::failure::{Failure, Outcome};

/// More than any two keys need.
const MAX_BYTES: u64 = 64 * 1024;

/// The text of a key file. It may be secret, so it is cleared.
pub(crate) struct KeyFile {
    path: PathBuf,
    text: Zeroizing<String>,
}

/// Who may read a file.
#[derive(Clone, Copy)]
enum Readers {
    Everybody,
    Owner,
}

impl KeyFile {
    /// Reads a file, whatever is in it.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let unread = |why: &str| Failure::new(format!("cannot read `{}`: {why}", path.display()));
        let file = File::open(path).map_err(|error| unread(&error.to_string()))?;
        let bytes = file.metadata().map_err(|error| unread(&error.to_string()))?.len();
        if bytes > MAX_BYTES {
            return Err(unread("it is too large for a key"));
        }
        // With room from the start, so that it grows nowhere and leaves nothing behind.
        let room = usize::try_from(MAX_BYTES).expect("it is small") + 1;
        let mut text = Zeroizing::new(String::with_capacity(room));
        file.take(MAX_BYTES).read_to_string(&mut text).map_err(|error| unread(&error.to_string()))?;
        Ok(Self { path: path.to_owned(), text })
    }

    /// The public keys, where the file holds no others.
    pub(crate) fn public(&self) -> Option<Signer> {
        Signer::from_pem(&self.text).ok()
    }

    /// Whether it takes a passphrase to read the keys.
    pub(crate) fn is_encrypted(&self) -> bool {
        matches!(PrivateKey::all_from_pem(&self.text, None), Err(BadKey::Encrypted))
    }

    /// The private keys.
    pub(crate) fn open(&self, passphrases: &Passphrases) -> Result<Vec<PrivateKey>, Failure> {
        let keys = match PrivateKey::all_from_pem(&self.text, None) {
            Err(BadKey::Encrypted) => {
                let passphrase = passphrases.open(&format!("`{}`", self.path.display()))?;
                PrivateKey::all_from_pem(&self.text, Some(passphrase.text().as_bytes()))
            }
            plain => plain,
        };
        keys.map_err(|error| {
            let failure = Failure::new(format!("`{}`: {error}", self.path.display()));
            if matches!(error, BadKey::Passphrase) {
                failure
            } else {
                failure.with_hint("`l3af key new FILE` makes a key")
            }
        })
    }
}

/// Writes new keys into `path` and their public parts into `path.pub`, and returns the latter. Nothing is overwritten.
pub(crate) fn create_pair(
    path: &Path,
    keys: &[PrivateKey],
    passphrase: Option<&Passphrase>,
) -> Result<PathBuf, Failure> {
    let mut public = path.as_os_str().to_owned();
    public.push(".pub");
    let public = PathBuf::from(public);
    let public_text: String = keys.iter().map(|key| key.public().to_pem()).collect();
    create(path, &written(keys, passphrase), Readers::Owner)?;
    if let Err(failure) = create(&public, &public_text, Readers::Everybody) {
        // Half a pair is of no use, and would be in the way of the next attempt.
        fs::remove_file(path)?;
        return Err(failure);
    }
    Ok(public)
}

/// Writes keys in place of those in a file. A crash leaves the old ones or the new ones.
pub(crate) fn replace(path: &Path, keys: &[PrivateKey], passphrase: Option<&Passphrase>) -> Outcome {
    let write = || -> io::Result<()> {
        // Where a link leads to is replaced, not the link.
        let path = path.canonicalize()?;
        // Such a file is its owner's from the start.
        let mut file = tempfile::NamedTempFile::new_in(path.parent().unwrap_or(Path::new(".")))?;
        file.write_all(written(keys, passphrase).as_bytes())?;
        file.as_file().sync_all()?;
        file.persist(&path)?;
        Ok(())
    };
    write().map_err(|error| Failure::new(format!("cannot write `{}`: {error}", path.display())))
}

fn written(keys: &[PrivateKey], passphrase: Option<&Passphrase>) -> Zeroizing<String> {
    let texts: Vec<Zeroizing<String>> = keys
        .iter()
        .map(|key| match passphrase {
            Some(passphrase) => {
                Zeroizing::new(key.to_encrypted_pem(passphrase.text().as_bytes(), Salt::random()))
            }
            None => key.to_pem(),
        })
        .collect();
    // All the room at once, so that no part of a key stays where the text has been before.
    let mut all = Zeroizing::new(String::with_capacity(texts.iter().map(|text| text.len()).sum()));
    for text in &texts {
        all.push_str(text);
    }
    all
}

fn create(path: &Path, text: &str, readers: Readers) -> Outcome {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    restrict(&mut options, readers);
    let written = options.open(path).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    written.map_err(|error| {
        Failure::new(format!("cannot make `{}`: {error}", path.display()))
            .with_hint("keys are never overwritten; choose another name")
    })
}

#[cfg(unix)]
fn restrict(options: &mut OpenOptions, readers: Readers) {
    use std::os::unix::fs::OpenOptionsExt as _;
    options.mode(match readers {
        Readers::Owner => 0o600,
        Readers::Everybody => 0o644,
    });
}

/// Elsewhere a new file has the readers of its folder.
#[cfg(not(unix))]
fn restrict(_: &mut OpenOptions, _: Readers) {}
