// SPDX-License-Identifier: Apache-2.0
//! The issuers that an administrator named: who else says who somebody is.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use door::Verifier;
use thiserror::Error;
use wire::{IssuerClient, IssuerError, is_safe_issuer};
use zeroize::Zeroizing;

use super::names::{Handle, Role};
use crate::config::{AccessConfig, FirstLogin, FirstRole, IssuerConfig};

/// All issuers, in the order of the configuration.
pub(crate) struct Issuers(Vec<Issuer>);

/// An issuer.
pub(super) struct Issuer {
    /// What it is called in addresses.
    pub(super) name: String,
    /// What people are shown.
    pub(super) title: String,
    /// Its URL, by which it is known in the database.
    pub(super) url: String,
    pub(super) verifier: Verifier,
    /// None where nobody logs in by it.
    pub(super) client: Option<Client>,
    /// Whether publishers may name it in their rules.
    pub(super) publishing: bool,
}

/// What the hub is there.
pub(super) struct Client {
    pub(super) known: IssuerClient,
    /// What is asked for, as it is sent.
    pub(super) scope: String,
    /// The role of new accounts; none where there are none.
    pub(super) newcomers: Option<Role>,
}

/// An issuer in the configuration cannot be used.
#[derive(Debug, Error)]
pub enum BadIssuer {
    /// Its name can be in no address.
    #[error("the issuer `{name}` has a name that is none: lower-case letters, digits and hyphens")]
    Name {
        /// What was given.
        name: String,
    },
    /// Another one has its name or its URL.
    #[error("there are two issuers `{what}` in the configuration")]
    Twice {
        /// What they share.
        what: String,
    },
    /// Anybody on the way can answer in its place.
    #[error("the issuer `{url}` must be an `https://` URL; `http://` counts on this machine only")]
    Plain {
        /// What was given.
        url: String,
    },
    /// Nobody could use it.
    #[error("the issuer `{name}` is for nothing: give it a `client`, or `publishing = true`")]
    Idle {
        /// Which.
        name: String,
    },
    /// What is asked for would not tell who somebody is.
    #[error("the scopes of the issuer `{name}` lack `openid`")]
    Scopes {
        /// Which.
        name: String,
    },
    /// Nobody could log in.
    #[error("`passwords = false` in `[access]` leaves nobody a way in: name an issuer that has a `client`")]
    NoWay,
    /// A file of it cannot be read.
    #[error("cannot read `{}`", .path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// It cannot be asked.
    #[error(transparent)]
    Unusable(#[from] IssuerError),
}

impl Issuers {
    /// Reads what the configuration says, and the files that it names. Nobody is asked yet.
    ///
    /// # Errors
    /// When one of them cannot be used, or nobody could log in.
    pub(crate) fn read(config: &AccessConfig) -> Result<Self, BadIssuer> {
        let configured = &config.issuers;
        if !config.passwords && configured.iter().all(|issuer| issuer.client.is_none()) {
            return Err(BadIssuer::NoWay);
        }
        let mut seen = BTreeSet::new();
        for what in configured.iter().flat_map(|issuer| [&issuer.name, &issuer.url]) {
            if !seen.insert(what) {
                return Err(BadIssuer::Twice { what: what.clone() });
            }
        }
        configured.iter().map(Issuer::read).collect::<Result<_, _>>().map(Self)
    }

    /// Those that people log in by.
    pub(super) fn of_people(&self) -> impl Iterator<Item = (&Issuer, &Client)> {
        self.0.iter().filter_map(|issuer| Some((issuer, issuer.client.as_ref()?)))
    }

    /// The one that people log in by, by its name.
    pub(super) fn named(&self, name: &str) -> Option<(&Issuer, &Client)> {
        self.of_people().find(|(issuer, _)| issuer.name == name)
    }

    /// One of machines, by its URL.
    pub(super) fn publishing(&self, url: &str) -> Option<&Issuer> {
        self.0.iter().find(|issuer| issuer.publishing && issuer.url == url)
    }
}

impl Issuer {
    fn read(config: &IssuerConfig) -> Result<Self, BadIssuer> {
        let IssuerConfig { name, title, url, roots, client, publishing, .. } = config.clone();
        // What is fit for a handle is fit for an address.
        if name.parse::<Handle>().is_err() {
            return Err(BadIssuer::Name { name });
        }
        if !is_safe_issuer(&url) {
            return Err(BadIssuer::Plain { url });
        }
        if client.is_none() && !publishing {
            return Err(BadIssuer::Idle { name });
        }
        let roots = roots.as_deref().map(|path| read(path, fs::read(path))).transpose()?;
        let verifier = Verifier::new(&url, roots.as_deref())?;
        let newcomers = (config.first_login == FirstLogin::New).then(|| config.role.role());
        let client = match client {
            Some(client) if !client.scopes.iter().any(|scope| scope == "openid") => {
                return Err(BadIssuer::Scopes { name });
            }
            Some(client) => {
                let secret = client.secret_file.as_deref().map(|path| read(path, fs::read_to_string(path)));
                let secret = secret.transpose()?.map(Zeroizing::new);
                let secret = secret.map(|text| Zeroizing::new(text.trim().to_owned()));
                let known = IssuerClient { id: client.id, secret };
                Some(Client { known, scope: client.scopes.join(" "), newcomers })
            }
            None => None,
        };
        Ok(Self { title: title.unwrap_or_else(|| name.clone()), name, url, verifier, client, publishing })
    }
}

fn read<T>(path: &Path, content: std::io::Result<T>) -> Result<T, BadIssuer> {
    content.map_err(|source| BadIssuer::Unreadable { path: path.to_owned(), source })
}

impl FirstRole {
    fn role(self) -> Role {
        match self {
            Self::Reader => Role::Reader,
            Self::Contributor => Role::Contributor,
            Self::Reviewer => Role::Reviewer,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Issuers, String> {
        let config: AccessConfig = toml::from_str(text).unwrap();
        Issuers::read(&config).map_err(|bad| bad.to_string())
    }

    #[test]
    fn issuers_are_read_as_the_manual_has_them() {
        let text = "[[issuers]]\nname = 'corp'\ntitle = 'Corp'\nurl = 'https://login.example.org'\nclient = { id = 'hub' }\n\
                    [[issuers]]\nname = 'forge'\nurl = 'https://ci.example.org'\npublishing = true\n";
        let issuers = read(text).unwrap();
        let (corp, client) = issuers.named("corp").unwrap();
        assert_eq!((corp.title.as_str(), client.scope.as_str()), ("Corp", "openid profile"));
        assert_eq!(client.newcomers, Some(Role::Reader));
        assert!(issuers.named("forge").is_none() && issuers.publishing(&corp.url).is_none());
        assert!(issuers.publishing("https://ci.example.org").is_some());
    }

    #[test]
    fn an_issuer_that_cannot_be_used_is_refused() {
        let one = "[[issuers]]\nname = 'corp'\nurl = 'https://a.example'\nclient = { id = 'hub' }\n";
        for (text, words) in [
            (one.replace("corp", "a/b"), "a name that is none"),
            (one.replace("https", "http"), "must be an `https://` URL"),
            (one.replace("client = { id = 'hub' }", ""), "is for nothing"),
            (one.replace("'hub'", "'hub', scopes = ['profile']"), "lack `openid`"),
            (one.replace("'hub'", "'hub', secret_file = '/nowhere'"), "cannot read `/nowhere`"),
            (one.repeat(2), "two issuers `corp`"),
            ("passwords = false\n".to_owned(), "leaves nobody a way in"),
            (format!("{one}{}", one.replace("corp", "other")), "two issuers `https://a.example`"),
        ] {
            let refused = read(&text).map(drop).unwrap_err();
            assert!(refused.contains(words), "{refused}");
        }
    }
}
