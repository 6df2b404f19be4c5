// SPDX-License-Identifier: Apache-2.0
//! How a manifest comes in: end-7 of the specification.

use std::collections::BTreeSet;
use std::error::Error;
use std::sync::Arc;

use axum::body::{self, Body};
use axum::http::{HeaderName, Response, StatusCode, header};
use bytes::Bytes;
use futures_util::FutureExt as _;
use http_body_util::LengthLimitError;
use sqlx::{AnyConnection, AssertSqlSafe, Row as _};

use super::Reference;
use crate::access::Action;
use crate::database::{AT_ONCE, places};
use crate::packages::{self, Arrival};
use crate::registry::call::{self, Call};
use crate::registry::manifest::{MOST_BYTES, Manifest};
use crate::registry::name::{RepositoryName, Tag};
use crate::registry::refused::Refused;
use crate::registry::rows::{self, Repository};
use crate::registry::{CONTENT_DIGEST, pushes};
use crate::{Algorithm, ContentDigest, Hub, rebuild};

const SUBJECT: HeaderName = HeaderName::from_static("oci-subject");
const TAG: HeaderName = HeaderName::from_static("oci-tag");

/// A manifest on its way in.
#[derive(Clone)]
struct Push {
    name: RepositoryName,
    digest: ContentDigest,
    manifest: Manifest,
    bytes: Bytes,
    /// In their order, so that no two pushes wait for each other.
    tags: Vec<Tag>,
    account: Option<String>,
    now_ms: i64,
}

/// Stores a manifest under a digest or a tag, and under the tags of the parameters `tag`.
pub(in crate::registry) async fn put(
    call: &Call,
    reference: &str,
    body: Body,
) -> Result<Response<Body>, Refused> {
    let reference = Reference::parse(reference)?;
    let caller = call.admit(Action::Push).await?;
    call.check_notice(&caller).await?;
    let bytes = read(call, body).await?;
    let digest = digest_of(call, &reference, &bytes)?;
    let manifest = Manifest::read(&bytes, call.header(&header::CONTENT_TYPE))?;
    let tags = tags(call, &reference)?;
    let (name, account, now_ms) = (call.name.clone(), call::account(&caller), call.hub.now_ms());
    let push = Push { name, digest, manifest, bytes, tags, account, now_ms };
    pushes::persist(|| async {
        call.hub.storage.put(&push.digest, push.bytes.clone()).await?;
        let (attempt, hub) = (push.clone(), Arc::clone(&call.hub));
        let stored = call
            .hub
            .database
            .write(move |connection| async move { attempt.store(connection, &hub).await }.boxed());
        stored.await
    })
    .await?;
    let mut answer = Response::builder()
        .status(StatusCode::CREATED)
        .header(header::LOCATION, call.path(&format!("manifests/{}", push.digest)))
        .header(CONTENT_DIGEST, push.digest.to_string());
    if let Some(subject) = &push.manifest.subject {
        answer = answer.header(SUBJECT, subject.to_string());
    }
    for tag in call.query.all("tag") {
        answer = answer.header(TAG, tag);
    }
    Ok(answer.body(Body::empty()).expect("every header is text"))
}

/// The body of the request, if it is of a size that manifests have.
async fn read(call: &Call, body: Body) -> Result<Bytes, Refused> {
    let said = call.header(&header::CONTENT_LENGTH).and_then(|length| length.parse().ok());
    if said.is_some_and(|length: usize| length > MOST_BYTES) {
        return Err(Refused::TooLarge { most: MOST_BYTES });
    }
    let read = body::to_bytes(body, MOST_BYTES).await;
    read.map_err(|error| {
        let is_limit = error.source().is_some_and(<dyn Error>::is::<LengthLimitError>);
        if is_limit { Refused::TooLarge { most: MOST_BYTES } } else { Refused::BrokenOff }
    })
}

/// The digest that it is stored under: that of the reference or the parameter `digest`, or one made by the algorithm that the
/// parameter `digest-algorithm` names.
fn digest_of(call: &Call, reference: &Reference, bytes: &[u8]) -> Result<ContentDigest, Refused> {
    let stated = match (reference, call.query.first("digest")) {
        (Reference::Digest(digest), _) => Some(digest.clone()),
        (Reference::Tag(_), stated) => stated.map(str::parse).transpose()?,
    };
    let named = call.query.first("digest-algorithm").map(str::parse).transpose()?;
    let algorithm = stated.as_ref().map(ContentDigest::algorithm).or(named).unwrap_or(Algorithm::Sha256);
    let found = ContentDigest::of(algorithm, bytes);
    match stated {
        Some(stated) if stated != found => {
            Err(Refused::OtherDigest { given: stated.to_string(), found: found.to_string() })
        }
        Some(_) | None => Ok(found),
    }
}

fn tags(call: &Call, reference: &Reference) -> Result<Vec<Tag>, Refused> {
    let mut tags = call.query.all("tag").map(str::parse).collect::<Result<Vec<Tag>, _>>()?;
    if let Reference::Tag(tag) = reference {
        tags.push(tag.clone());
    }
    tags.sort_by(|one, other| one.as_str().cmp(other.as_str()));
    tags.dedup();
    Ok(tags)
}

impl Push {
    /// Stores it, if all that it needs is there.
    async fn store(&self, connection: &mut AnyConnection, hub: &Hub) -> Result<(), Refused> {
        let repository = rows::find_or_make(connection, &self.name, self.now_ms).await?;
        self.hold_needs(connection, &repository).await?;
        rows::hold(connection, hub, &self.digest, self.bytes.len() as u64).await?;
        self.insert(connection, &repository).await?;
        self.insert_needs(connection, &repository).await?;
        self.move_tags(connection, &repository).await?;
        rows::check_quota(connection, hub, (&self.name, &repository)).await?;
        rebuild::stale(connection, &repository.id).await?;
        if repository.is_registry {
            return Ok(());
        }
        let arrivals = self.tags.iter().map(Some).chain(self.tags.is_empty().then_some(None));
        for tag in arrivals {
            packages::arrive(connection, &self.arrival(&repository, tag)).await?;
        }
        Ok(())
    }

    /// Makes sure that what it needs is there and stays.
    async fn hold_needs(
        &self,
        connection: &mut AnyConnection,
        repository: &Repository,
    ) -> Result<(), Refused> {
        let digests: Vec<String> = self.manifest.needs.iter().map(ContentDigest::to_string).collect();
        let mut there = BTreeSet::new();
        for digests in digests.chunks(AT_ONCE) {
            // Whoever removes links that nobody needs looks at when they were touched.
            let links = format!(
                "UPDATE links SET linked_ms = $2 WHERE repository = $1 AND digest IN ({}) RETURNING digest",
                places(3, digests.len())
            );
            let links = sqlx::query(AssertSqlSafe(links)).bind(repository.id.as_str()).bind(self.now_ms);
            let links = digests.iter().fold(links, |links, digest| links.bind(digest.as_str()));
            let mut rows = links.fetch_all(&mut *connection).await?;
            if rows.len() < digests.len() {
                let children = format!(
                    "SELECT digest FROM manifests WHERE repository = $1 AND digest IN ({})",
                    places(2, digests.len())
                );
                let children = sqlx::query(AssertSqlSafe(children)).bind(repository.id.as_str());
                let children =
                    digests.iter().fold(children, |children, digest| children.bind(digest.as_str()));
                rows.extend(children.fetch_all(&mut *connection).await?);
            }
            for row in rows {
                there.insert(row.try_get::<String, _>(0)?);
            }
        }
        match digests.into_iter().find(|digest| !there.contains(digest)) {
            Some(digest) => Err(Refused::Lacks { name: self.name.to_string(), digest }),
            None => Ok(()),
        }
    }

    async fn insert(&self, connection: &mut AnyConnection, repository: &Repository) -> sqlx::Result<()> {
        const INSERT: &str = "INSERT INTO manifests (repository, digest, media_type, subject, artifact_type, annotations, \
                              visible, pushed_ms, pushed_by) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) \
                              ON CONFLICT (repository, digest) DO UPDATE SET pushed_ms = excluded.pushed_ms";
        let Manifest { media_type, subject, artifact_type, annotations, .. } = &self.manifest;
        let insert = sqlx::query(INSERT).bind(repository.id.as_str()).bind(self.digest.to_string());
        let insert = insert.bind(media_type.as_str()).bind(subject.as_ref().map(ContentDigest::to_string));
        let insert = insert.bind(artifact_type.as_deref()).bind(annotations.as_deref());
        let insert = insert.bind(repository.shows()).bind(self.now_ms).bind(self.account.as_deref());
        insert.execute(connection).await.map(drop)
    }

    async fn insert_needs(
        &self,
        connection: &mut AnyConnection,
        repository: &Repository,
    ) -> sqlx::Result<()> {
        let digests: Vec<String> = self.manifest.needs.iter().map(ContentDigest::to_string).collect();
        for digests in digests.chunks(AT_ONCE) {
            let rows: Vec<String> =
                (3..digests.len() + 3).map(|place| format!("($1, $2, ${place})")).collect();
            let text = format!(
                "INSERT INTO needs (repository, manifest, digest) VALUES {} ON CONFLICT DO NOTHING",
                rows.join(", ")
            );
            let insert =
                sqlx::query(AssertSqlSafe(text)).bind(repository.id.as_str()).bind(self.digest.to_string());
            let insert = digests.iter().fold(insert, |insert, digest| insert.bind(digest.as_str()));
            insert.execute(&mut *connection).await?;
        }
        Ok(())
    }

    async fn move_tags(&self, connection: &mut AnyConnection, repository: &Repository) -> sqlx::Result<()> {
        const MOVE: &str = "INSERT INTO tags (repository, name, digest, updated_ms) VALUES ($1, $2, $3, $4) \
                            ON CONFLICT (repository, name) DO UPDATE SET digest = excluded.digest, \
                            updated_ms = excluded.updated_ms";
        for tag in &self.tags {
            let put = sqlx::query(MOVE).bind(repository.id.as_str()).bind(tag.as_str());
            put.bind(self.digest.to_string()).bind(self.now_ms).execute(&mut *connection).await?;
        }
        Ok(())
    }

    fn arrival(&self, repository: &Repository, tag: Option<&Tag>) -> Arrival {
        Arrival {
            repository: repository.id.clone(),
            publisher: self.name.publisher.to_string(),
            name: self.name.rest.clone(),
            digest: self.digest.clone(),
            bytes: self.bytes.clone(),
            tag: tag.map(|tag| tag.as_str().to_owned()),
            account: self.account.clone(),
            now_ms: self.now_ms,
        }
    }
}
