// SPDX-License-Identifier: Apache-2.0
//! The configuration file of a hub, `hub.toml`. All of it may be left out: then a hub listens on this machine and keeps
//! everything in one folder.

mod bucket;
mod issuers;
mod listen;
mod mail;
mod mirrors;
mod reports;
mod review;
mod sweep;
mod webhooks;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use thiserror::Error;

pub use self::bucket::{BucketConfig, BucketKey};
pub use self::issuers::{FirstLogin, FirstRole, IssuerClientConfig, IssuerConfig};
pub use self::listen::{ForwardedHeader, LimitsConfig, ProxyConfig, TlsConfig};
pub use self::mail::{MailConfig, MailTls};
pub use self::mirrors::MirrorsConfig;
pub use self::reports::ReportsConfig;
pub use self::review::{Instance, OnFixed, Review};
pub use self::sweep::SweepConfig;
pub use self::webhooks::WebhooksConfig;

/// What a hub is told to be.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where blobs are kept, and the database where no other is named. `/var/lib/l3af-hub`.
    pub folder: PathBuf,
    /// Where it listens. `127.0.0.1:8520`.
    pub listen: SocketAddr,
    /// How clients reach it, as it appears in what it answers: `https://hub.example.org`. The address of `listen`.
    pub url: Option<String>,
    /// A PostgreSQL database, `postgres://user:password@host/name`. SQLite, in the folder.
    pub database: Option<String>,
    /// A bucket for the blobs, in place of the folder.
    pub bucket: Option<BucketConfig>,
    /// What it is called, and what people must know.
    pub instance: Instance,
    /// What must be so before a package is released.
    pub review: Review,
    /// When what nobody needs is removed.
    pub sweep: SweepConfig,
    /// What is told to others.
    pub webhooks: WebhooksConfig,
    /// What rules of mirrors may use of this machine.
    pub mirrors: MirrorsConfig,
    /// How mail is sent. None: nobody is mailed.
    pub mail: Option<MailConfig>,
    /// Who may report something.
    pub reports: ReportsConfig,
    /// Who may do what.
    pub access: AccessConfig,
    /// TLS. None: the hub listens without, for a proxy in front of it.
    pub tls: Option<TlsConfig>,
    /// How much anybody may ask for.
    pub limits: LimitsConfig,
    /// Proxies in front of the hub.
    pub proxy: ProxyConfig,
}

/// Who may do what.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AccessConfig {
    /// Files with policies (Cedar). None: the roles alone count.
    pub policies: Vec<PathBuf>,
    /// Whether people log in by passwords that the hub keeps. `true`
    pub passwords: bool,
    /// Who else says who somebody is (`OpenID` Connect). Nobody.
    pub issuers: Vec<IssuerConfig>,
}

/// The configuration cannot be read.
#[derive(Debug, Error)]
pub enum BadConfig {
    /// There is no such file, or it may not be read.
    #[error("cannot read `{}`", .path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// It says what no hub understands.
    #[error("`{}` is no configuration of a hub", .path.display())]
    Wrong {
        /// Which.
        path: PathBuf,
        /// Where and why.
        #[source]
        source: toml::de::Error,
    },
}

impl Default for AccessConfig {
    fn default() -> Self {
        Self { policies: Vec::new(), passwords: true, issuers: Vec::new() }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            folder: PathBuf::from("/var/lib/l3af-hub"),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8520)),
            url: None,
            database: None,
            bucket: None,
            instance: Instance::default(),
            review: Review::default(),
            sweep: SweepConfig::default(),
            webhooks: WebhooksConfig::default(),
            mirrors: MirrorsConfig::default(),
            mail: None,
            reports: ReportsConfig::default(),
            access: AccessConfig::default(),
            tls: None,
            limits: LimitsConfig::default(),
            proxy: ProxyConfig::default(),
        }
    }
}

impl Config {
    /// Reads a configuration file.
    ///
    /// # Errors
    /// When it cannot be read, or says what no hub understands.
    pub fn read(path: &Path) -> Result<Self, BadConfig> {
        let unreadable = |source| BadConfig::Unreadable { path: path.to_owned(), source };
        let text = std::fs::read_to_string(path).map_err(unreadable)?;
        toml::from_str(&text).map_err(|source| BadConfig::Wrong { path: path.to_owned(), source })
    }

    /// How clients reach this hub, without a slash at the end.
    pub(crate) fn url(&self) -> String {
        match &self.url {
            Some(url) => url.trim_end_matches('/').to_owned(),
            None if self.tls.is_some() => format!("https://{}", self.listen),
            None => format!("http://{}", self.listen),
        }
    }

    /// Where the database is.
    pub(crate) fn database_url(&self) -> String {
        let beside = || format!("sqlite://{}?mode=rwc", self.folder.join("hub.db").display());
        self.database.clone().unwrap_or_else(beside)
    }
}
