// SPDX-License-Identifier: Apache-2.0
//! Passphrases and PINs: from a file, else from the environment, else from the terminal. They are cleared and never shown.

use std::fmt;
use std::fs::File;
use std::io::{self, IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::failure::Failure;

/// More than anybody types.
const MAX_BYTES: usize = 4096;
const HINT: &str = "give it by `--passphrase-file FILE` or in the environment variable `L3AF_PASSPHRASE`";

/// A passphrase or PIN; at least one letter.
#[derive(Clone)]
pub(crate) struct Passphrase(Zeroizing<String>);

/// Where passphrases come from.
#[derive(Debug, Clone)]
pub(crate) struct Passphrases {
    file: Option<PathBuf>,
    environment: Option<Passphrase>,
}

impl Passphrases {
    /// Takes them from the first line of the file, else from the environment, else asks.
    pub(crate) fn new(file: Option<&Path>, environment: Option<&Passphrase>) -> Self {
        Self { file: file.map(Path::to_owned), environment: environment.cloned() }
    }

    /// The passphrase that opens `what`.
    pub(crate) fn open(&self, what: &str) -> Result<Passphrase, Failure> {
        match self.given()? {
            Some(given) => Ok(given),
            None => ask(&format!("Passphrase of {what}: "), what, HINT),
        }
    }

    /// A passphrase that shall open `what` from now on. Asked for twice, so that nobody locks oneself out by a slip.
    /// The hint tells how it may be given otherwise.
    pub(crate) fn choose(&self, what: &str, hint: &str) -> Result<Passphrase, Failure> {
        if let Some(given) = self.given()? {
            return Ok(given);
        }
        let first = ask(&format!("New passphrase of {what}: "), what, hint)?;
        let second = ask("Once more: ", what, hint)?;
        if first.0 == second.0 { Ok(first) } else { Err(Failure::new("the two passphrases differ")) }
    }

    fn given(&self) -> Result<Option<Passphrase>, Failure> {
        match &self.file {
            Some(path) => Passphrase::read(path).map(Some),
            None => Ok(self.environment.clone()),
        }
    }
}

impl Passphrase {
    /// The first line of a file.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let unusable = |why: String| Failure::new(format!("no passphrase in `{}`: {why}", path.display()));
        // With room from the start, so that it grows nowhere and leaves nothing behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_BYTES + 1));
        let file = File::open(path).map_err(|error| unusable(error.to_string()))?;
        file.take(MAX_BYTES as u64 + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| unusable(error.to_string()))?;
        let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
        if line.len() > MAX_BYTES {
            return Err(unusable(format!("its first line is longer than {MAX_BYTES} bytes")));
        }
        let line = std::str::from_utf8(line.strip_suffix(b"\r").unwrap_or(line));
        let line = line.map_err(|error| unusable(error.to_string()))?;
        Self::new(line.to_owned()).ok_or_else(|| unusable("its first line is empty".to_owned()))
    }

    /// A text that is not empty.
    pub(crate) fn new(text: String) -> Option<Self> {
        let text = Zeroizing::new(text);
        (!text.is_empty()).then_some(Self(text))
    }

    /// The letters.
    pub(crate) fn text(&self) -> &str {
        &self.0
    }
}

/// It is not shown.
impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase")
    }
}

fn ask(prompt: &str, what: &str, hint: &str) -> Result<Passphrase, Failure> {
    let missing =
        |why: &str| Failure::new(format!("there is no passphrase for {what}: {why}")).with_hint(hint);
    if !io::stdin().is_terminal() {
        return Err(missing("this is no terminal, so nobody can be asked"));
    }
    let answer = rpassword::prompt_password(prompt).map_err(|error| missing(&error.to_string()))?;
    Passphrase::new(answer).ok_or_else(|| missing("nothing was typed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<String, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        let told = |failure: Failure| failure.to_string().replace(&file.path().display().to_string(), "FILE");
        Passphrase::read(file.path()).map(|read| read.text().to_owned()).map_err(told)
    }

    #[test]
    fn the_first_line_of_a_file_is_the_passphrase() {
        for bytes in [&b"correct horse"[..], b"correct horse\n", b"correct horse\r\nsecond line\n"] {
            assert_eq!(read(bytes), Ok("correct horse".to_owned()));
        }
        assert_eq!(read(&[b'x'; MAX_BYTES]).map(|text| text.len()), Ok(MAX_BYTES));
    }

    #[test]
    fn files_without_a_passphrase_are_refused() {
        insta::assert_snapshot!(read(b"\nsecond").unwrap_err(), @"no passphrase in `FILE`: its first line is empty");
        insta::assert_snapshot!(read(b"\xff").unwrap_err(), @"no passphrase in `FILE`: invalid utf-8 sequence of 1 bytes from index 0");
        insta::assert_snapshot!(read(&[b'x'; MAX_BYTES + 1]).unwrap_err(), @"no passphrase in `FILE`: its first line is longer than 4096 bytes");
    }

    #[test]
    fn a_passphrase_is_not_shown() {
        let given = Passphrase::new("correct horse".to_owned());
        let shown = format!("{:?}", Passphrases::new(None, given.as_ref()));
        insta::assert_snapshot!(shown, @"Passphrases { file: None, environment: Some(Passphrase) }");
    }
}
