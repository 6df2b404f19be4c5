// SPDX-License-Identifier: Apache-2.0
//! Artifacts in a repository of l3afd v1, which become packages as they are fetched: `l3afd:<url>`, where the URL ends with
//! `<name>/<version>/<platform>/<artifact>`. What speaks for one lies beside it.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::PathBuf;
use std::time::Duration;

use package::{Artifact, BadArtifact, MAX_LAYER_BYTES, Packed, PublisherName};
use reqwest::{Client, StatusCode, Url};
use thiserror::Error;

use crate::client::deepest;
use crate::named;

/// How references into such repositories begin.
const SCHEME: &str = "l3afd:";
/// What the name of a statement ends with that lies beside what it is about.
const STATEMENT: &str = ".l3af.json";
/// The largest statement that is read.
const MAX_STATEMENT_BYTES: u64 = 4 * 1024 * 1024;
/// How long a connection may take, and each pause while something comes.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long a whole download may take.
const LONGEST: Duration = Duration::from_mins(10);

/// Where an artifact is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    url: Url,
    name: String,
    version: String,
}

/// An artifact, and what lies beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// What speaks for it, if anything does.
    pub statement: Option<Vec<u8>>,
}

/// An artifact cannot be had.
#[derive(Debug, Error)]
pub enum NoArtifact {
    /// The reference is none.
    #[error(
        "`{reference}` is no reference to an artifact, such as `l3afd:https://host/NAME/VERSION/PLATFORM/ARTIFACT.tar.gz`"
    )]
    Reference {
        /// What was given.
        reference: String,
    },
    /// A file cannot be read.
    #[error("cannot read `{path}`")]
    File {
        /// The file.
        path: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A server does not give it.
    #[error("`{url}` cannot be fetched: {problem}")]
    Server {
        /// What was asked for.
        url: Url,
        /// Why not.
        problem: String,
    },
    /// It is larger than it may be.
    #[error("`{url}` has more than {max} bytes")]
    TooLarge {
        /// What was asked for.
        url: Url,
        /// The limit.
        max: u64,
    },
    /// It is no artifact.
    #[error(transparent)]
    Bad(#[from] BadArtifact),
}

impl Place {
    /// Whether a reference leads into such a repository.
    pub fn is_meant(reference: &str) -> bool {
        reference.starts_with(SCHEME)
    }

    /// Reads a reference.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(reference: &str) -> Result<Self, NoArtifact> {
        let bad = || NoArtifact::Reference { reference: reference.to_owned() };
        let url = reference.strip_prefix(SCHEME).and_then(|url| Url::parse(url).ok()).ok_or_else(bad)?;
        let mut parts = url.path().rsplit('/');
        let (artifact, platform) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let (version, name) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let is_known = matches!(url.scheme(), "file" | "http" | "https");
        if !is_known || [artifact, platform, version, name].contains(&"") {
            return Err(bad());
        }
        Ok(Self { name: name.to_owned(), version: version.to_owned(), url: url.clone() })
    }

    /// The reference without its scheme, as repositories of policies are spelled; none for a file of this machine.
    pub fn on_network(&self) -> Option<String> {
        on_network(&self.url)
    }

    /// Whether it lies in the repository at a URL.
    pub fn is_in(&self, repository: &str) -> bool {
        let Ok(repository) = Url::parse(repository) else { return false };
        let folder = format!("{}/", repository.path().trim_end_matches('/'));
        self.url.origin() == repository.origin() && self.url.path().starts_with(&folder)
    }

    /// Fetches it, and the statement that lies beside it.
    ///
    /// # Errors
    /// When it is not there, or comes to no end.
    pub async fn fetch(&self) -> Result<Found, NoArtifact> {
        fetch(&self.url).await
    }

    /// The statement that lies beside it.
    ///
    /// # Errors
    /// When nobody says whether there is one.
    pub async fn statement(&self) -> Result<Option<Vec<u8>>, NoArtifact> {
        statement(&self.url).await
    }

    /// Where the statement lies that speaks for it, where that is a file.
    pub fn statement_file(&self) -> Option<PathBuf> {
        let artifact = self.url.to_file_path().ok().filter(|_| self.url.scheme() == "file")?;
        let mut name = artifact.into_os_string();
        name.push(STATEMENT);
        Some(name.into())
    }

    /// Its path below the repository: `<name>/<version>/<platform>/<artifact>`.
    pub fn path_in_repository(&self) -> String {
        let parts: Vec<&str> = self.url.path().rsplit('/').take(4).collect();
        parts.into_iter().rev().collect::<Vec<_>>().join("/")
    }

    /// The package that it is, of a publisher.
    ///
    /// # Errors
    /// When it is none.
    pub fn pack_for(&self, bytes: &[u8], publisher: &PublisherName) -> Result<Packed, NoArtifact> {
        Ok(Artifact { name: &self.name, version: &self.version, bytes }.pack(publisher)?)
    }

    /// The package that it is: of the publisher whom its statement names, or of `unsigned`.
    ///
    /// # Errors
    /// When it is none.
    pub fn pack(&self, found: &Found) -> Result<Packed, NoArtifact> {
        self.pack_for(&found.bytes, &found.publisher())
    }
}

impl Found {
    /// The publisher whom its statement names, or `unsigned`. Whether that is true is for whoever verifies it.
    pub(super) fn publisher(&self) -> PublisherName {
        let predicate = self.statement.as_deref().and_then(named::predicate);
        let said = predicate.and_then(|predicate| predicate.get("publisher")?.as_str()?.parse().ok());
        said.unwrap_or_else(named::nobody)
    }
}

/// Fetches a file, and the statement that lies beside it.
pub(super) async fn fetch(url: &Url) -> Result<Found, NoArtifact> {
    let missing = || NoArtifact::Server { url: url.clone(), problem: "there is no such file".to_owned() };
    let bytes = get(url, MAX_LAYER_BYTES).await?.ok_or_else(missing)?;
    Ok(Found { bytes, statement: statement(url).await? })
}

/// The statement that lies beside a file.
async fn statement(url: &Url) -> Result<Option<Vec<u8>>, NoArtifact> {
    let mut beside = url.clone();
    beside.set_path(&format!("{}{STATEMENT}", url.path()));
    get(&beside, MAX_STATEMENT_BYTES).await
}

/// A URL without its scheme, as repositories of policies are spelled; none for a file of this machine.
pub(super) fn on_network(url: &Url) -> Option<String> {
    let host = url.host_str().filter(|_| url.scheme() != "file")?;
    let port = url.port().map_or_else(String::new, |port| format!(":{port}"));
    Some(format!("{host}{port}{}", url.path()))
}

/// What is at a URL; none where nothing is.
async fn get(url: &Url, max: u64) -> Result<Option<Vec<u8>>, NoArtifact> {
    if url.scheme() == "file" {
        return read(url, max);
    }
    let failed = |error: reqwest::Error| NoArtifact::Server { url: url.clone(), problem: deepest(&error) };
    let builder = Client::builder().connect_timeout(PATIENCE).read_timeout(PATIENCE).timeout(LONGEST);
    let client = builder.build().map_err(failed)?;
    let mut response = client.get(url.clone()).send().await.map_err(failed)?;
    if response.status() == StatusCode::NOT_FOUND {
        return Ok(None);
    }
    response = response.error_for_status().map_err(failed)?;
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() as u64 > max {
            return Err(NoArtifact::TooLarge { url: url.clone(), max });
        }
    }
    Ok(Some(bytes))
}

fn read(url: &Url, max: u64) -> Result<Option<Vec<u8>>, NoArtifact> {
    let path = url.to_file_path().unwrap_or_default();
    let failed = |source| NoArtifact::File { path: path.display().to_string(), source };
    let file = match File::open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file.map_err(failed)?,
    };
    let mut bytes = Vec::new();
    file.take(max + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > max {
        return Err(NoArtifact::TooLarge { url: url.clone(), max });
    }
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_names_a_package_and_its_version() {
        let place = Place::parse(
            "l3afd:https://hub.example.org:8443/l3af/ratelimiting/latest/noble/l3af_ratelimiting.tar.gz",
        )
        .unwrap();
        assert_eq!((place.name.as_str(), place.version.as_str()), ("ratelimiting", "latest"));
        let told = "hub.example.org:8443/l3af/ratelimiting/latest/noble/l3af_ratelimiting.tar.gz";
        assert_eq!(place.on_network().as_deref(), Some(told));
        assert_eq!(place.path_in_repository(), "ratelimiting/latest/noble/l3af_ratelimiting.tar.gz");
        assert_eq!(place.statement_file(), None);
        let file = Place::parse("l3afd:file:///srv/a/latest/noble/a.tar.gz").unwrap().statement_file();
        assert_eq!(file, Some("/srv/a/latest/noble/a.tar.gz.l3af.json".into()));
        assert!(place.is_in("https://hub.example.org:8443/l3af"));
        assert!(
            !place.is_in("https://hub.example.org:8443/l3") && !place.is_in("https://hub.example.org/l3af")
        );
        assert_eq!(Place::parse("l3afd:file:///srv/a/latest/noble/a.tar.gz").unwrap().on_network(), None);
        for bad in ["l3afd:ftp://h/a/latest/noble/a.tar.gz", "l3afd:https://h/a.tar.gz", "l3afd:/srv/a"] {
            assert!(Place::parse(bad).is_err(), "{bad}");
        }
    }
}
