// SPDX-License-Identifier: Apache-2.0
//! Packages from what arrives to what is released, over SQLite in a folder.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt as _;
use jiff::Timestamp;
use package::Version;
use tempfile::TempDir;

use super::{Arrival, Release, Turned, arrive};
use crate::{Algorithm, Config, ContentDigest, Hub, Namespace};

mod administering;
mod arriving;
mod resolving;

pub(crate) use self::resolving::release;

/// A hub in a folder that goes with it.
pub(crate) struct TestHub {
    hub: Arc<Hub>,
    _folder: TempDir,
}

impl std::ops::Deref for TestHub {
    type Target = Arc<Hub>;

    fn deref(&self) -> &Arc<Hub> {
        &self.hub
    }
}

/// A hub with the publisher `l3af`.
pub(crate) async fn hub() -> TestHub {
    let folder = tempfile::tempdir().expect("a folder");
    let config = Config { folder: folder.path().to_owned(), ..Config::default() };
    let hub = Hub::open(config, || Timestamp::UNIX_EPOCH).await.expect("a hub");
    let publisher = "l3af".parse().expect("a name");
    hub.add_publisher(&publisher, Namespace::Packages).await.expect("a publisher");
    TestHub { hub, _folder: folder }
}

/// A manifest on its way into the repository `l3af/ratelimit`.
pub(super) struct Pushed {
    pub(super) tag: Option<String>,
    pub(super) bytes: String,
}

impl Pushed {
    /// An index that is pushed by a version, with that as its only content.
    pub(super) fn version(version: &str) -> Self {
        let bytes =
            format!(r#"{{"schemaVersion": 2, "manifests": [], "annotations": {{"v": "{version}"}}}}"#);
        Self { tag: Some(version.replace('+', "_")), bytes }
    }

    /// Something about another manifest.
    pub(super) fn about(subject: &str) -> Self {
        Self { tag: None, bytes: format!(r#"{{"schemaVersion": 2, "subject": {{"digest": "{subject}"}}}}"#) }
    }

    pub(super) fn digest(&self) -> ContentDigest {
        ContentDigest::of(Algorithm::Sha256, self.bytes.as_bytes())
    }

    /// Stores its row as the registry does, in the same transaction.
    pub(super) async fn arrive(&self, hub: &Hub) -> Result<(), Turned> {
        let arrival = Arrival {
            repository: "repository".to_owned(),
            publisher: "l3af".to_owned(),
            name: "ratelimit".to_owned(),
            digest: self.digest(),
            bytes: Bytes::from(self.bytes.clone()),
            tag: self.tag.clone(),
            account: None,
            now_ms: 0,
        };
        hub.database.write(move |connection| async move { arrive(connection, &arrival).await }.boxed()).await
    }

    /// The release that it became.
    pub(super) async fn release(&self, hub: &Hub) -> Release {
        let version: Version =
            self.tag.as_ref().expect("a version").replace('_', "+").parse().expect("a version");
        let found = Release::by_version(hub.database.readers(), "l3af", "ratelimit", &version).await;
        found.expect("a database").expect("it was released")
    }
}
