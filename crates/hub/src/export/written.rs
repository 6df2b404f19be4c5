// SPDX-License-Identifier: Apache-2.0
//! Writing one package: its releases, and all that refers to them.

use std::collections::{BTreeMap, BTreeSet};

use package::Digest;
use serde_json::{Value, json};
use sqlx::any::AnyRow;
use sqlx::{FromRow, Row as _};
use wire::hub::{Channel, ExportedPackage, ExportedRelease, Referring, State};

use super::folder::Target;
use super::{Exported, NotExported};
use crate::packages::{Release, mirrored, undecodable};
use crate::{ContentDigest, Hub};

/// What a layout calls the name of an entry (image-spec 1.1, "Pre-Defined Annotation Keys").
const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// A manifest or a blob that belongs to a release.
#[derive(Debug, Clone)]
struct Part {
    digest: String,
    size: i64,
    /// None where it is no manifest.
    media_type: Option<String>,
    artifact_type: Option<String>,
    subject: Option<String>,
}

impl<'r> FromRow<'r, AnyRow> for Part {
    fn from_row(row: &'r AnyRow) -> sqlx::Result<Self> {
        let (digest, size) = (row.try_get(0)?, row.try_get(1)?);
        let (media_type, artifact_type, subject) = (row.try_get(2)?, row.try_get(3)?, row.try_get(4)?);
        Ok(Self { digest, size, media_type, artifact_type, subject })
    }
}

impl Hub {
    /// Writes a package, and returns the digest of the document about it.
    pub(super) async fn export_package(
        &self,
        (publisher, name): (&str, &str),
        target: &Target,
        exported: &mut Exported,
    ) -> Result<Digest, NotExported> {
        let readers = self.database.readers();
        let layout = target.layout(publisher, name);
        let mut releases = Vec::new();
        let mut entries = BTreeMap::new();
        let all = Release::all(readers, publisher, name).await?;
        let package = all.first().map(|release| release.package.clone()).unwrap_or_default();
        // What people had is told of whatever became of it; what is taken down is given to nobody.
        for release in all.into_iter().filter(|release| release.released_ms.is_some()) {
            if release.state == State::TakenDown {
                releases.push(described(&release, BTreeSet::new())?);
                continue;
            }
            if !release.state.is_public() {
                continue;
            }
            let parts = self.parts(&release).await?;
            for part in &parts {
                let digest: ContentDigest = part.digest.parse().map_err(undecodable)?;
                let size = u64::try_from(part.size).unwrap_or_default();
                layout.copy(&self.storage, (&digest, size), exported).await?;
            }
            let (about, listed) = about(&release, &parts);
            entries.extend(listed);
            releases.push(described(&release, about)?);
            exported.releases += 1;
        }
        layout.list(entries.into_values().collect()).await?;
        let advisories = mirrored::advisories(readers, &package).await?;
        let document =
            ExportedPackage { publisher: publisher.to_owned(), name: name.to_owned(), releases, advisories };
        let bytes = serde_json::to_vec(&document).expect("a document has no keys but texts");
        layout.keep(&bytes).await
    }

    /// All that readers may have of a release: what it names, what refers to any of that, and so on.
    async fn parts(&self, release: &Release) -> sqlx::Result<Vec<Part>> {
        const PARTS: &str = "WITH RECURSIVE edges (above, below) AS (\
            SELECT manifest, digest FROM needs WHERE repository = $1 \
            UNION ALL SELECT subject, digest FROM manifests WHERE repository = $1 AND subject IS NOT NULL AND visible = 1), \
            reached (digest) AS (SELECT digest FROM manifests WHERE repository = $1 AND digest = $2 \
            UNION SELECT edges.below FROM reached JOIN edges ON edges.above = reached.digest) \
            SELECT b.digest, b.size, m.media_type, m.artifact_type, m.subject FROM reached r JOIN blobs b ON b.digest = r.digest \
            LEFT JOIN manifests m ON m.repository = $1 AND m.digest = r.digest ORDER BY b.digest";
        let parts = sqlx::query_as(PARTS).bind(&release.repository).bind(&release.digest);
        parts.fetch_all(self.database.readers()).await
    }
}

/// What refers to a release, and what the layout lists of it, by digest.
fn about(release: &Release, parts: &[Part]) -> (BTreeSet<Referring>, BTreeMap<String, Value>) {
    let (mut about, mut listed) = (BTreeSet::new(), BTreeMap::new());
    for part in parts {
        let Some(media_type) = &part.media_type else { continue };
        let mut descriptor = json!({ "mediaType": media_type, "digest": part.digest, "size": part.size });
        if let Some(artifact_type) = &part.artifact_type {
            descriptor["artifactType"] = json!(artifact_type);
        }
        if part.digest == release.digest {
            let tag = release.version.to_string().replace('+', "_");
            descriptor["annotations"] = json!({ REF_NAME: tag });
            listed.insert(part.digest.clone(), descriptor);
        } else if let Some(subject) = &part.subject {
            // Nodes and mirrors know SHA-256 only.
            if let (Ok(subject), Ok(digest)) = (subject.parse(), part.digest.parse()) {
                about.insert(Referring { subject, digest });
            }
            listed.insert(part.digest.clone(), descriptor);
        }
    }
    (about, listed)
}

fn described(release: &Release, referrers: BTreeSet<Referring>) -> Result<ExportedRelease, NotExported> {
    let channel = if release.version.pre.is_empty() { Channel::Stable } else { Channel::Candidate };
    Ok(ExportedRelease {
        version: release.version.clone(),
        digest: release.digest.parse().map_err(undecodable)?,
        state: release.state,
        reason: release.reason.clone(),
        channel,
        released: release.released_ms.map(crate::time::rfc3339),
        // What it says of itself may be why it was taken down.
        facts: release.facts.clone().filter(|_| release.state != State::TakenDown),
        referrers: referrers.into_iter().collect(),
    })
}
