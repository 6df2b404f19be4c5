// SPDX-License-Identifier: Apache-2.0
//! Writing packages into a folder, for sites that no network leads to: `docs/hub-mirrors.md` describes the form, which a mirror
//! reads as a source and skopeo as OCI image layouts.
//!
//! What is written is whole or is not there: blobs come first, each under its own name once its digest was computed, and
//! `export.json` last, which names all of it by digest. An export that breaks off leaves the one before as it was.

mod folder;
mod written;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use package::Digest;
use thiserror::Error;
use wire::hub::{Export, ListedPackage};

use self::folder::Target;
use crate::mirrors::Pattern;
use crate::{ContentDigest, Hub};

/// What was written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Exported {
    /// How many packages there are now.
    pub packages: u64,
    /// How many releases of those that were asked for.
    pub releases: u64,
    /// How many blobs were not there before.
    pub new_blobs: u64,
    /// How many bytes these have.
    pub new_bytes: u64,
}

/// Nothing is exported; what was exported before stays as it was.
#[derive(Debug, Error)]
pub enum NotExported {
    /// The folder has something else in it.
    #[error("`{}` is not empty and is no export; name a folder that is new, or one that was exported into", .folder.display())]
    Occupied {
        /// Which.
        folder: PathBuf,
    },
    /// No package is meant by one of the patterns.
    #[error("no package that is released here is `{pattern}`")]
    Unmatched {
        /// Which.
        pattern: Pattern,
    },
    /// It cannot be read or written.
    #[error("cannot write `{}`", .path.display())]
    Unwritable {
        /// Which file or folder.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A blob cannot be read.
    #[error("the blob {digest} cannot be read; `l3af-hub check` says more")]
    Blob {
        /// Which.
        digest: ContentDigest,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A blob is damaged.
    #[error("the blob {digest} is damaged; `l3af-hub check` says more")]
    Damaged {
        /// Which.
        digest: ContentDigest,
    },
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] sqlx::Error),
}

impl Hub {
    /// Writes packages with all that refers to them into a folder, or brings what is there up to date. Packages that were exported
    /// before and are not asked for stay.
    ///
    /// # Errors
    /// When something cannot be read or written.
    pub async fn export(&self, folder: &Path, patterns: &[Pattern]) -> Result<Exported, NotExported> {
        let meant = self.exportable(patterns).await?;
        let target = Target::open(folder).await?;
        let before = target.listed().await?;
        let mut listed: BTreeMap<(String, String), Digest> = before.clone();
        let mut exported = Exported::default();
        for (publisher, name) in meant {
            let document = self.export_package((&publisher, &name), &target, &mut exported).await?;
            listed.insert((publisher, name), document);
        }
        exported.packages = listed.len() as u64;
        let packages = listed.iter().map(|((publisher, name), document)| ListedPackage {
            publisher: publisher.clone(),
            name: name.clone(),
            document: *document,
        });
        let export = Export {
            format: Export::FORMAT,
            source: self.config.url(),
            made: crate::time::rfc3339(self.now_ms()),
            packages: packages.collect(),
        };
        target.finish(&export).await?;
        for ((publisher, name), old) in before {
            if listed.get(&(publisher.clone(), name.clone())) != Some(&old) {
                target.layout(&publisher, &name).forget(&old).await?;
            }
        }
        Ok(exported)
    }

    /// The packages that people have, or had until they were taken down, of those that are meant, of each pattern some.
    async fn exportable(&self, patterns: &[Pattern]) -> Result<Vec<(String, String)>, NotExported> {
        let select = "SELECT p.publisher, p.name FROM packages p WHERE EXISTS (SELECT 1 FROM releases r \
                      WHERE r.package = p.id AND r.state IN ('released', 'yanked', 'taken-down') AND r.released_ms IS NOT NULL) ORDER BY p.publisher, p.name";
        let mut found: Vec<(String, String)> =
            sqlx::query_as(select).fetch_all(self.database.readers()).await?;
        let is_unmatched =
            |pattern: &&Pattern| !found.iter().any(|(publisher, name)| pattern.matches(publisher, name));
        if let Some(pattern) = patterns.iter().find(is_unmatched) {
            return Err(NotExported::Unmatched { pattern: pattern.clone() });
        }
        found.retain(|(publisher, name)| patterns.iter().any(|pattern| pattern.matches(publisher, name)));
        Ok(found)
    }
}
