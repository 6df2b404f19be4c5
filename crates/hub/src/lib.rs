// SPDX-License-Identifier: Apache-2.0
//! The hub: where eBPF packages are uploaded, checked, reviewed, released, found and fetched.
//!
//! It is an OCI registry (distribution specification 1.1), so that existing tools are clients, and it knows what a package
//! is, so that what they push is looked at before others get it. Bytes are in a [`Storage`] by digest, everything else is in
//! a [`Database`]; the hub itself remembers nothing, so that several may serve the same two.
//!
//! A hub is trusted for nothing but being there: it holds no key that signs, and whoever fetches from it verifies.

mod access;
mod answer;
mod audit;
mod backup;
mod config;
mod database;
mod digest;
mod events;
mod export;
mod given;
mod mail;
mod mirrors;
mod packages;
mod rebuild;
mod registry;
mod search;
mod server;
mod storage;
mod time;

use std::io;
use std::sync::Arc;

use jiff::Timestamp;
use thiserror::Error;

use self::access::Issuers;
use self::packages::Pulls;
use self::registry::Begun;

pub use self::access::{Access, BadIssuer, BadRules, NotDone};
pub use self::audit::Broken;
pub use self::backup::{Backup, NotBackedUp, NotRestored};
pub use self::config::{
    AccessConfig, BadConfig, BucketConfig, BucketKey, Config, FirstLogin, FirstRole, ForwardedHeader,
    Instance, IssuerClientConfig, IssuerConfig, LimitsConfig, MailConfig, MailTls, MirrorsConfig, OnFixed,
    ProxyConfig, ReportsConfig, Review, SweepConfig, TlsConfig, WebhooksConfig,
};
pub use self::database::{Database, NoDatabase};
pub use self::digest::{Algorithm, BadDigest, ContentDigest};
pub use self::export::{Exported, NotExported};
pub use self::mail::BadMail;
pub use self::mirrors::{
    BadPattern, Deletions, Mirror, MirrorPolicy, MirrorResult, MirrorRule, MirrorSource, Outcome, Pattern,
    Ran, RuleName, Unruly, Unrun, Unset,
};
pub use self::rebuild::{NotRebuilt, Rebuilt};
pub use self::registry::{BadName, Namespace, NotAdded, Problem, PublisherName, Report, Unchecked};
pub use self::server::serve;
pub use self::storage::{NoStorage, Storage};

/// A hub: what it was told to be, and where it keeps what it is given.
pub struct Hub {
    pub(crate) config: Config,
    pub(crate) database: Arc<Database>,
    pub(crate) storage: Storage,
    pub(crate) access: Access,
    pub(crate) pulls: Pulls,
    pub(crate) begun: Begun,
    pub(crate) mirrors: Arc<mirrors::Tally>,
    /// None where it sends no mail.
    pub(crate) mail: Option<mail::Server>,
    clock: fn() -> Timestamp,
}

/// A hub cannot be opened.
#[derive(Debug, Error)]
pub enum Unopened {
    /// Its database.
    #[error(transparent)]
    Database(#[from] NoDatabase),
    /// Its storage.
    #[error(transparent)]
    Storage(#[from] NoStorage),
    /// Its policies.
    #[error(transparent)]
    Rules(#[from] BadRules),
    /// Its issuers.
    #[error(transparent)]
    Issuer(#[from] BadIssuer),
    /// Its server of mail.
    #[error(transparent)]
    Mail(#[from] BadMail),
}

/// Verifies a record of changes that was written as lines of JSON, and answers with what it is.
///
/// # Errors
/// At the first entry that is not what was written.
pub fn verify_audit(lines: impl io::BufRead) -> Result<String, Broken> {
    audit::verify(lines).map(|chain| chain.to_string())
}

impl Hub {
    /// Opens the storage and the database, which is brought to this version's schema.
    ///
    /// # Errors
    /// When one of them cannot be reached or is not what it should be.
    pub async fn open(config: Config, clock: fn() -> Timestamp) -> Result<Arc<Self>, Unopened> {
        let mail = mail::Server::open(&config)?;
        let storage = Storage::open(&config)?;
        let database = Arc::new(Database::open(&config).await?);
        let issuers = Issuers::read(&config.access)?;
        let access = Access::open(&config, issuers, Arc::clone(&database), clock)?;
        let (pulls, begun, mirrors) = (Pulls::default(), Begun::default(), Arc::default());
        Ok(Arc::new(Self { config, database, storage, access, pulls, begun, mirrors, mail, clock }))
    }

    /// The version of the tables that this program works with.
    pub fn schema() -> i64 {
        database::version()
    }

    /// Brings the tables of a database to a version, up or back. No hub may use it.
    ///
    /// # Errors
    /// When the database cannot be reached, or there is no such version.
    pub async fn set_schema(config: &Config, version: i64) -> Result<(), NoDatabase> {
        Database::at_version(config, version).await.map(drop)
    }

    /// Who is calling, and what they may do.
    pub fn access(&self) -> &Access {
        &self.access
    }

    /// Writes the whole record of changes as lines of JSON, verifies it on the way, and answers with what it is.
    ///
    /// # Errors
    /// At the first entry that is not what was written.
    pub async fn export_audit(&self, out: &mut impl io::Write) -> Result<String, Broken> {
        let mut connection = self.database.readers().acquire().await?;
        audit::export(&mut connection, out).await.map(|chain| chain.to_string())
    }

    /// Makes the index of packages anew, and tells how many there are. A hub that serves does not mind.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn reindex(&self) -> Result<u64, sqlx::Error> {
        search::rebuild(&self.database).await
    }

    /// Milliseconds since 1970, as times are kept in the database.
    pub(crate) fn now_ms(&self) -> i64 {
        (self.clock)().as_millisecond()
    }
}
