// SPDX-License-Identifier: Apache-2.0
//! The policy of this machine: one file, the files that it names, and a digest of all of them, by which a change is
//! noticed. The mode comes from here and from nowhere else.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::{fs, io};

use package::Digest;
use trust::{Policy, PolicyDocument};

use crate::Rejected;

/// What the files of a policy say at one moment.
#[derive(Debug)]
pub(crate) struct PolicyFiles {
    path: PathBuf,
    /// None where there is no file: then nothing verifies.
    document: Option<PolicyDocument>,
    files: BTreeMap<String, String>,
    digest: Digest,
}

type Cause = Box<dyn Error + Send + Sync>;

impl PolicyFiles {
    /// Reads the file and all that it names. No file is a policy that trusts nobody; one that cannot be read is an error.
    pub(crate) fn read(path: &Path) -> Result<Self, Rejected> {
        let unusable = |source: Cause| Rejected::Policy { path: path.to_owned(), source };
        let text = match fs::read_to_string(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let (files, digest) = (BTreeMap::new(), Digest::of(b""));
                return Ok(Self { path: path.to_owned(), document: None, files, digest });
            }
            Err(error) => return Err(unusable(error.into())),
            Ok(text) => text,
        };
        let document = PolicyDocument::parse(&text).map_err(|error| unusable(error.into()))?;
        let folder = path.parent().unwrap_or(Path::new("/"));
        let mut files = BTreeMap::new();
        // Digests have one length, so that no text of one file looks like the beginning of the next.
        let mut digests = Digest::of(text.as_bytes()).to_string();
        for file in document.files() {
            let content = fs::read_to_string(folder.join(file))
                .map_err(|error| unusable(format!("the file `{file}` that it names: {error}").into()))?;
            digests.push_str(&Digest::of(content.as_bytes()).to_string());
            files.insert(file.to_owned(), content);
        }
        let digest = Digest::of(digests.as_bytes());
        Ok(Self { path: path.to_owned(), document: Some(document), files, digest })
    }

    /// A digest of all that was read. Another one means another policy.
    pub(crate) fn digest(&self) -> Digest {
        self.digest
    }

    /// The policy for something new. Where there is no file it trusts nobody.
    pub(crate) fn policy(self) -> Result<Policy, Rejected> {
        match self.document {
            None => Ok(Policy::default()),
            Some(document) => document
                .resolve(&self.files)
                .map_err(|error| Rejected::Policy { path: self.path, source: error.into() }),
        }
    }

    /// The policy for what runs. A file that is gone says nothing about that: somebody may be about to write it.
    pub(crate) fn policy_that_is_there(self) -> Result<Policy, Rejected> {
        if self.document.is_none() {
            return Err(Rejected::Policy { path: self.path, source: "there is no such file".into() });
        }
        self.policy()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_of_a_file_that_the_policy_names_is_a_change_of_the_policy() {
        let folder = tempfile::tempdir().unwrap();
        let (path, key) = (folder.path().join("trust.toml"), folder.path().join("a.pub"));
        let digest = || PolicyFiles::read(&path).map(|read| read.digest());
        let absent = digest().unwrap();
        fs::write(&path, "[[publisher]]\nname = \"a\"\npackages = [\"*\"]\nkey_files = [\"a.pub\"]\n")
            .unwrap();
        assert!(digest().is_err(), "it names a file that is not there");
        fs::write(&key, "one").unwrap();
        let one = digest().unwrap();
        assert_eq!(digest().unwrap(), one);
        fs::write(&key, "two").unwrap();
        let two = digest().unwrap();
        assert!(absent != one && one != two);
    }

    #[test]
    fn no_file_trusts_nobody_and_withdraws_nothing() {
        let read = || PolicyFiles::read(Path::new("/nowhere/trust.toml")).unwrap();
        assert_eq!(read().policy().unwrap(), Policy::default());
        let gone = read().policy_that_is_there().unwrap_err();
        assert_eq!(gone.to_string(), "the trust policy `/nowhere/trust.toml` cannot be used");
    }
}
