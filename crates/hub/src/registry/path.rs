// SPDX-License-Identifier: Apache-2.0
//! What a path below `/v2/` asks for. Names of repositories have any number of components, and any of them may be called
//! `blobs` or `tags`: so the end of a path tells what it is about.

use percent_encoding::percent_decode_str;

use super::name::RepositoryName;
use super::refused::Refused;

/// What a path is about.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Path {
    /// Whether this is a registry: end-1 of the specification.
    Version,
    /// The names of repositories.
    Catalog,
    /// In a repository.
    Repository(RepositoryName, Within),
}

/// What in a repository a path is about.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Within {
    /// The names of its tags.
    Tags,
    /// A manifest, by a tag or a digest, as it was given.
    Manifest(String),
    /// A blob, by what was given as a digest.
    Blob(String),
    /// Uploads that are yet to begin.
    Uploads,
    /// An upload, by what was given as its id.
    Upload(String),
    /// What is about a manifest, by what was given as its digest.
    Referrers(String),
}

impl Path {
    /// Reads what follows `/v2/`, as it was sent.
    pub(super) fn parse(path: &str) -> Result<Self, Refused> {
        match path {
            "" => return Ok(Self::Version),
            "_catalog" => return Ok(Self::Catalog),
            _ => {}
        }
        let parts: Vec<&str> = path.split('/').collect();
        let last = || decoded(parts.last().copied().unwrap_or_default());
        let (name, within) = match parts.as_slice() {
            [name @ .., "tags", "list"] => (name, Within::Tags),
            [name @ .., "manifests", _] => (name, Within::Manifest(last())),
            [name @ .., "blobs", "uploads"] | [name @ .., "blobs", "uploads", ""] => (name, Within::Uploads),
            [name @ .., "blobs", "uploads", _] => (name, Within::Upload(last())),
            [name @ .., "blobs", _] => (name, Within::Blob(last())),
            [name @ .., "referrers", _] => (name, Within::Referrers(last())),
            _ => return Err(Refused::NoSuchPath),
        };
        // A name has no letter that needs to be encoded, so that none that is written in another way gets past whoever
        // guards paths before this server.
        Ok(Self::Repository(name.join("/").parse()?, within))
    }
}

/// Clients may write the colon of a digest as `%3A`.
fn decoded(part: &str) -> String {
    percent_decode_str(part).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::{Path, Within};

    fn read(path: &str) -> Option<(String, Within)> {
        match Path::parse(path) {
            Ok(Path::Repository(name, within)) => Some((name.to_string(), within)),
            Ok(Path::Version | Path::Catalog) | Err(_) => None,
        }
    }

    #[test]
    fn the_end_of_a_path_tells_what_it_is_about() {
        let is = |path, name: &str, within| assert_eq!(read(path), Some((name.to_owned(), within)), "{path}");
        is("p/n/tags/list", "p/n", Within::Tags);
        is("p/blobs/tags/list/tags/list", "p/blobs/tags/list", Within::Tags);
        is("p/n/manifests/1.2", "p/n", Within::Manifest("1.2".to_owned()));
        is("p/manifests/manifests/manifests", "p/manifests", Within::Manifest("manifests".to_owned()));
        is("p/n/blobs/uploads/", "p/n", Within::Uploads);
        is("p/n/blobs/uploads", "p/n", Within::Uploads);
        is("p/n/blobs/uploads/x", "p/n", Within::Upload("x".to_owned()));
        is("p/n/blobs/sha256%3Aab", "p/n", Within::Blob("sha256:ab".to_owned()));
        is("p/a/b/c/referrers/sha256:a", "p/a/b/c", Within::Referrers("sha256:a".to_owned()));
        assert_eq!(Path::parse("").ok(), Some(Path::Version));
        assert_eq!(Path::parse("_catalog").ok(), Some(Path::Catalog));
    }

    #[test]
    fn no_path_leads_out_of_the_names() {
        for path in [
            "p/tags/list",
            "tags/list",
            "p/../n/tags/list",
            "p/%2e%2e/manifests/a",
            "p/n%2fm/manifests/a",
            "p/n%00/blobs/sha256:a",
            "p//n/tags/list",
            "/p/n/tags/list",
            "p/n",
            "p/n/blobs/uploads/a/b",
        ] {
            assert!(read(path).is_none(), "{path}");
        }
    }
}
