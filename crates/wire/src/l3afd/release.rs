// SPDX-License-Identifier: Apache-2.0
//! Releases of the daemon itself, where l3afd v1 looks for them: `<restart-artifacts-url>/<version>/l3afd.tar.gz`. What speaks for
//! one lies beside it.

use package::{Named, plain_version};
use reqwest::Url;

use super::artifact::{Found, NoArtifact, fetch, on_network};

/// What it is called in statements, as a package is.
const NAME: &str = "l3afd";

/// Where a release of the daemon is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    url: Url,
    version: String,
}

impl Release {
    /// That of a version, below a URL.
    ///
    /// # Errors
    /// When the URL is none of `file`, `http` or `https`.
    pub fn at(releases: &str, version: &str) -> Result<Self, NoArtifact> {
        let text = format!("{}/{version}/{NAME}.tar.gz", releases.trim_end_matches('/'));
        let url = Url::parse(&text).ok().filter(|url| matches!(url.scheme(), "file" | "http" | "https"));
        let url = url.ok_or(NoArtifact::Reference { reference: text })?;
        Ok(Self { url, version: version.to_owned() })
    }

    /// Where it is.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Fetches it, and the statement that lies beside it.
    ///
    /// # Errors
    /// When it is not there, or comes to no end.
    pub async fn fetch(&self) -> Result<Found, NoArtifact> {
        fetch(&self.url).await
    }

    /// What it is called: whatever its statement says of its publisher, it is this version of the daemon.
    pub fn named(&self, found: &Found) -> Named {
        Named {
            publisher: found.publisher(),
            name: NAME.parse().expect("it is a name"),
            version: plain_version(&self.version),
        }
    }

    /// Its place as repositories of policies are spelled; none for a file of this machine.
    pub fn on_network(&self) -> Option<String> {
        on_network(&self.url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_is_that_of_its_version_whatever_is_said_of_it() {
        let release = Release::at("https://hub.example.org/l3afd/", "v2.1.0").unwrap();
        assert_eq!(release.url().as_str(), "https://hub.example.org/l3afd/v2.1.0/l3afd.tar.gz");
        assert_eq!(release.on_network().as_deref(), Some("hub.example.org/l3afd/v2.1.0/l3afd.tar.gz"));
        let Named { publisher, name, version } =
            release.named(&Found { bytes: Vec::new(), statement: Some(b"no statement".to_vec()) });
        assert_eq!(format!("{publisher}/{name} {version}"), "unsigned/l3afd 2.1.0");
        assert_eq!(Release::at("file:///srv/l3afd", "v2").unwrap().on_network(), None);
        assert!(Release::at("ftp://h", "v2").is_err() && Release::at("", "v2").is_err());
    }
}
