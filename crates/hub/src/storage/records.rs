// SPDX-License-Identifier: Apache-2.0
//! What lies beside the blobs: `records/<name>.json`. Names are those that the hub gives: UUIDs, and words.

use std::fs;
use std::io;

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use object_store::{ObjectStore as _, ObjectStoreExt as _};

use super::bucket::{self, Bucket};
use super::folder::{Folder, blocking, unless_missing};

/// What each ends with.
const END: &str = ".json";

impl Folder {
    pub(super) async fn put_record(&self, name: &str, bytes: Bytes) -> io::Result<()> {
        self.write(self.records.join(format!("{name}{END}")), bytes).await
    }

    pub(super) async fn read_record(&self, name: &str) -> io::Result<Bytes> {
        Ok(tokio::fs::read(self.records.join(format!("{name}{END}"))).await?.into())
    }

    pub(super) async fn remove_record(&self, name: &str) -> io::Result<()> {
        unless_missing(tokio::fs::remove_file(self.records.join(format!("{name}{END}"))).await)
    }

    pub(super) async fn records(&self) -> io::Result<Vec<String>> {
        let folder = self.records.clone();
        blocking(move || {
            let mut names = Vec::new();
            for entry in fs::read_dir(folder)? {
                names.extend(named(&entry?.file_name().to_string_lossy()));
            }
            Ok(names)
        })
        .await
    }
}

impl Bucket {
    pub(super) async fn put_record(&self, name: &str, bytes: Bytes) -> io::Result<()> {
        self.store.put(&self.record(name), bytes.into()).await?;
        Ok(())
    }

    pub(super) async fn read_record(&self, name: &str) -> io::Result<Bytes> {
        Ok(self.store.get(&self.record(name)).await?.bytes().await?)
    }

    pub(super) async fn remove_record(&self, name: &str) -> io::Result<()> {
        // Not every store says nothing of what is not there when that is deleted.
        match self.store.head(&self.record(name)).await {
            Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
            Ok(_) => bucket::unless_missing(self.store.delete(&self.record(name)).await),
        }
    }

    pub(super) async fn records(&self) -> io::Result<Vec<String>> {
        let folder = self.above.clone().join("records");
        let listed: Vec<_> = self.store.list(Some(&folder)).try_collect().await?;
        Ok(listed.iter().filter_map(|object| named(object.location.filename()?)).collect())
    }

    fn record(&self, name: &str) -> object_store::path::Path {
        self.above.clone().join("records").join(format!("{name}{END}"))
    }
}

/// The name of the record in a file; whatever is called otherwise is none.
fn named(file: &str) -> Option<String> {
    Some(file.strip_suffix(END)?.to_owned())
}
