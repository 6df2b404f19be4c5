// SPDX-License-Identifier: Apache-2.0
//! Who may do what, and from where: TLS, certificates, tokens, policies, limits, and the record of changes.
//!
//! A connection says who is at its other end ([`Peer`]), a [`Caller`](caller::Caller) is made of that and of a token, and [`Rules`] say what the
//! caller may do. All of it comes from files of the administrator; what is wrong with them when the daemon starts ends it, and
//! later what was in force stays.

mod asker;
mod audit;
mod caller;
mod certificate;
mod gate;
mod names;
mod notices;
mod oidc;
mod refusal;
mod reload;
mod rules;
mod thing;
mod tls;
mod touched;

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use door::Pace;
use jiff::Timestamp;
use package::Digest;
use rustls::ServerConfig;
use thiserror::Error;

use self::audit::Audit;
use self::notices::Notices;
use self::oidc::Oidc;
use self::rules::Rules;
use self::tls::{End, Tls};
use crate::config::{AccessConfig, LimitsConfig, RemoteConfig};
use crate::{Config, Engine};

pub use door::BadTls;

pub use self::asker::Asker;
pub use self::audit::NoAudit;
pub use self::names::{BadExpression, BadHandle, Handle, NameRule};
pub use self::oidc::BadIssuer;
pub use self::refusal::Denied;
pub use self::rules::BadRules;

pub(crate) use self::caller::{Certificate, Peer};
pub(crate) use self::certificate::read as read_certificate;
pub(crate) use self::gate::{InForce, gate};
pub(crate) use self::refusal::Refusal;
pub(crate) use self::thing::Ware;
pub(crate) use self::tls::End as CertificateEnd;
pub(crate) use self::touched::End as ChangeEnd;

/// All that is decided about callers before the engine is asked.
pub struct Access {
    config: AccessConfig,
    limits: LimitsConfig,
    rules: RwLock<Arc<Rules>>,
    /// None where nothing is served over TCP.
    remote: Option<Remote>,
    pace: Pace,
    audit: Audit,
    notices: Notices,
    clock: fn() -> Timestamp,
    /// A digest of the policies that were read last, whether or not they could be used.
    policies_seen: Mutex<Option<Digest>>,
}

/// What is decided about callers who come over TCP.
struct Remote {
    config: RemoteConfig,
    tls: RwLock<Arc<Tls>>,
    oidc: Option<Oidc>,
    /// The same of the files of TLS.
    seen: Mutex<Option<Digest>>,
}

/// The configuration of access cannot be used.
#[derive(Debug, Error)]
pub enum BadAccess {
    /// The policies.
    #[error(transparent)]
    Rules(#[from] BadRules),
    /// What TLS needs.
    #[error("the API cannot be served over TCP")]
    Tls(#[from] BadTls),
    /// The issuer of tokens.
    #[error(transparent)]
    Issuer(#[from] BadIssuer),
    /// The record of changes.
    #[error(transparent)]
    Audit(#[from] NoAudit),
}

impl Access {
    /// Reads all files that the configuration names.
    ///
    /// # Errors
    /// When one of them cannot be used.
    pub fn open(config: &Config, engine: &Engine) -> Result<Self, BadAccess> {
        let access = config.access.clone();
        let rules = Rules::read(&access.policies, &access.admin, &access.read_only)?;
        let remote = config.remote.as_ref().map(Remote::open).transpose()?;
        Ok(Self {
            rules: RwLock::new(Arc::new(rules)),
            remote,
            pace: Pace::new(config.limits.changes_per_minute),
            audit: Audit::open(access.audit.as_deref())?,
            notices: Notices::new(engine.events()),
            clock: Timestamp::now,
            policies_seen: Mutex::new(reload::digest_of_policies(&access).ok()),
            config: access,
            limits: config.limits,
        })
    }

    /// How much callers may ask for.
    pub(crate) fn limits(&self) -> LimitsConfig {
        self.limits
    }

    /// Where to listen, if anywhere.
    pub(crate) fn remote(&self) -> Option<&RemoteConfig> {
        self.remote.as_ref().map(|remote| &remote.config)
    }

    /// How connections from now on are made; none where nothing is served over TCP.
    pub(crate) fn tls(&self) -> Option<Arc<ServerConfig>> {
        self.remote.as_ref().map(|remote| Arc::clone(&remote.tls().server))
    }

    /// When certificates end.
    pub(crate) fn ends(&self) -> Vec<End> {
        self.remote.as_ref().map(|remote| remote.tls().ends.clone()).unwrap_or_default()
    }

    /// What somebody should look at.
    pub(crate) fn notices(&self) -> Vec<String> {
        self.notices.list()
    }

    fn rules(&self) -> Arc<Rules> {
        Arc::clone(&self.rules.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Remote {
    fn open(config: &RemoteConfig) -> Result<Self, BadAccess> {
        let tls = Tls::read(config)?;
        Ok(Self {
            config: config.clone(),
            oidc: config.oidc.as_ref().map(Oidc::new).transpose()?,
            seen: Mutex::new(Some(tls.digest)),
            tls: RwLock::new(Arc::new(tls)),
        })
    }

    fn tls(&self) -> Arc<Tls> {
        Arc::clone(&self.tls.read().unwrap_or_else(PoisonError::into_inner))
    }
}
