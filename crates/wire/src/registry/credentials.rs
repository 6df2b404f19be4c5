// SPDX-License-Identifier: Apache-2.0
//! Logins for registries, in the form in which `docker login`, `podman login` and `skopeo login` keep them.
//!
//! Only `auths` is read: helpers of credentials are programs, and this reads a text.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::{fmt, fs, io};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tempfile::NamedTempFile;
use thiserror::Error;
use zeroize::Zeroizing;

/// Logins by host. Never printed.
#[derive(Clone, Default)]
pub struct Credentials {
    logins: BTreeMap<String, Login>,
}

/// How to show a registry who is asking.
#[derive(Clone)]
pub(crate) struct Login {
    pub(crate) user: String,
    pub(crate) password: Zeroizing<String>,
}

/// A file of logins cannot be used.
#[derive(Debug, Error)]
pub enum BadCredentials {
    /// It cannot be read.
    #[error("cannot read the logins in `{}`", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// It cannot be written.
    #[error("cannot write the logins to `{}`", file.display())]
    Unwritable {
        /// The file.
        file: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// It is not JSON of the right shape.
    #[error("it is not a file of logins as `docker login` writes it")]
    Json(#[source] serde_json::Error),
    /// A login is not base64 of a name, a colon and a password.
    #[error("the login for `{host}` is not base64 of `user:password`")]
    Login {
        /// Whom it is for.
        host: String,
    },
}

#[derive(Deserialize)]
struct Written {
    #[serde(default)]
    auths: BTreeMap<String, WrittenLogin>,
}

#[derive(Deserialize)]
struct WrittenLogin {
    /// Empty where a helper has the login.
    #[serde(default)]
    auth: String,
}

impl Credentials {
    /// Reads a file such as `~/.docker/config.json`.
    ///
    /// # Errors
    /// When it cannot be read, is something else, or a login in it cannot be read.
    pub fn read(file: &Path) -> Result<Self, BadCredentials> {
        let unreadable = |source| BadCredentials::Unreadable { file: file.to_owned(), source };
        Self::parse(&Zeroizing::new(fs::read_to_string(file).map_err(unreadable)?))
    }

    /// Reads a text such as that of `~/.docker/config.json`.
    ///
    /// # Errors
    /// When it is something else, or a login in it cannot be read.
    pub fn parse(text: &str) -> Result<Self, BadCredentials> {
        let written: Written = serde_json::from_str(text).map_err(BadCredentials::Json)?;
        let mut logins = BTreeMap::new();
        for (key, login) in written.auths.into_iter().filter(|(_, login)| !login.auth.is_empty()) {
            let host = host(&key).to_owned();
            let login = login.read().ok_or_else(|| BadCredentials::Login { host: host.clone() })?;
            logins.insert(host, login);
        }
        Ok(Self { logins })
    }

    /// One login.
    pub fn of(host: &str, user: &str, password: &str) -> Self {
        let login = Login { user: user.to_owned(), password: Zeroizing::new(password.to_owned()) };
        Self { logins: BTreeMap::from([(host.to_owned(), login)]) }
    }

    /// Puts a login into a file such as `~/.docker/config.json`, beside whatever else it has. Only its owner can read it.
    ///
    /// # Errors
    /// When it cannot be read or written, or is something else.
    pub fn keep(file: &Path, host: &str, user: &str, password: &str) -> Result<(), BadCredentials> {
        let unreadable = |source| BadCredentials::Unreadable { file: file.to_owned(), source };
        let unwritable = |source| BadCredentials::Unwritable { file: file.to_owned(), source };
        let mut written: Map<String, Value> = match fs::read_to_string(file) {
            Ok(text) => serde_json::from_str(&text).map_err(BadCredentials::Json)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Map::new(),
            Err(error) => return Err(unreadable(error)),
        };
        let auths = written.entry("auths").or_insert_with(|| Value::Object(Map::new()));
        let auth = STANDARD.encode(format!("{user}:{password}"));
        auths[host] = json!({ "auth": auth });
        let folder = file.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder).map_err(unwritable)?;
        // Whole or not at all: there may be logins for others in it.
        let mut new = NamedTempFile::new_in(folder).map_err(unwritable)?;
        let text = serde_json::to_vec_pretty(&written).map_err(BadCredentials::Json)?;
        new.write_all(&text).map_err(unwritable)?;
        new.persist(file).map_err(|failed| unwritable(failed.error))?;
        Ok(())
    }

    /// The login for a host; none means that one goes there as anybody.
    pub(crate) fn login(&self, host: &str) -> Option<&Login> {
        self.logins.get(host)
    }
}

impl WrittenLogin {
    fn read(self) -> Option<Login> {
        let auth = Zeroizing::new(self.auth);
        let text = Zeroizing::new(STANDARD.decode(auth.as_bytes()).ok()?);
        let (user, password) = std::str::from_utf8(&text).ok()?.split_once(':')?;
        Some(Login { user: user.to_owned(), password: Zeroizing::new(password.to_owned()) })
    }
}

/// Old files have addresses where newer ones have hosts, and one name for Docker's own registry.
fn host(key: &str) -> &str {
    let key = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
    match key.split('/').next().unwrap_or(key) {
        "index.docker.io" => "docker.io",
        host => host,
    }
}

/// Names the hosts and nothing else.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.logins.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::Credentials;

    const FILE: &str = r#"{
        "auths": {
            "hub.example.org:5000": { "auth": "YW5uYTpzZXNhbWU6b3Blbg==" },
            "https://index.docker.io/v1/": { "auth": "Ym9iOg==" },
            "helped.example.org": {}
        },
        "credsStore": "secretservice"
    }"#;

    #[test]
    fn logins_are_found_by_host_and_never_printed() {
        let credentials = Credentials::parse(FILE).unwrap();
        let login =
            |host| credentials.login(host).map(|login| (login.user.as_str(), login.password.as_str()));
        assert_eq!(login("hub.example.org:5000"), Some(("anna", "sesame:open")));
        assert_eq!(login("docker.io"), Some(("bob", "")));
        assert!(credentials.login("helped.example.org").is_none());
        assert!(credentials.login("hub.example.org").is_none());
        insta::assert_snapshot!(format!("{credentials:?}"), @r#"{"docker.io", "hub.example.org:5000"}"#);
    }

    #[test]
    fn a_login_is_kept_beside_what_else_a_file_has() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("new/config.json");
        Credentials::keep(&file, "hub.example.org", "anna", "first").unwrap();
        std::fs::write(&file, FILE).unwrap();
        Credentials::keep(&file, "hub.example.org", "anna", "sesame:open").unwrap();
        let kept = Credentials::read(&file).unwrap();
        assert_eq!(kept.login("hub.example.org").unwrap().password.as_str(), "sesame:open");
        assert!(kept.login("docker.io").is_some());
        assert!(std::fs::read_to_string(&file).unwrap().contains("secretservice"));
        std::fs::write(&file, "[]").unwrap();
        assert!(Credentials::keep(&file, "hub.example.org", "anna", "x").is_err());
    }

    #[test]
    fn a_login_that_cannot_be_read_is_named_by_its_host() {
        let bad = Credentials::parse(r#"{"auths": {"a.example.org": {"auth": "c2VjcmV0"}}}"#).unwrap_err();
        insta::assert_snapshot!(bad, @"the login for `a.example.org` is not base64 of `user:password`");
    }
}
