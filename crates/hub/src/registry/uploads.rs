// SPDX-License-Identifier: Apache-2.0
//! Uploads: end-4, end-5, end-6, end-11 to end-14 of the specification.
//!
//! Where an upload is, a row tells, which changes when the bytes are durable: so it can be gone on with after any end of a
//! client, a connection or a hub. One without bytes has no row where one hub has its database alone ([`begun`]).

mod begun;
mod body;
mod end;

use std::sync::Arc;

use axum::body::Body;
use axum::http::response::Builder;
use axum::http::{HeaderName, Response, StatusCode, header};
use futures_util::FutureExt as _;
use sqlx::{AnyConnection, Row as _};
use uuid::Uuid;

use self::begun::Owner;
use self::body::{check_length, check_place, until_broken};
use super::call::{self, Call};
use super::name::RepositoryName;
use super::refused::Refused;
use super::{CONTENT_DIGEST, pushes, rows};
use crate::access::{Action, Caller};
use crate::digest::Algorithm;
use crate::storage::Staged;
use crate::{ContentDigest, Hub};

pub(crate) use self::begun::Begun;

pub(super) use self::end::end;

const UPLOAD: HeaderName = HeaderName::from_static("docker-upload-uuid");

/// An upload that goes on.
struct Upload {
    staged: Staged,
    /// As the row has it, by which a change is found that came in between; none where there is no row yet.
    seen: Option<String>,
    owner: Owner,
}

/// Begins an upload, mounts a blob from another repository, or takes a whole blob.
pub(super) async fn begin(call: Call, body: Body) -> Result<Response<Body>, Refused> {
    let caller = call.admit(Action::Push).await?;
    if let Some(named) = call.query.first("digest-algorithm") {
        named.parse::<Algorithm>()?;
    }
    if let (Some(digest), Some(from)) = (call.query.first("mount"), call.query.first("from")) {
        let digest: ContentDigest = digest.parse()?;
        if mount(&call, &caller, &digest, from).await? {
            return Ok(created(&call, &digest));
        }
    }
    let staged = Staged::new(Uuid::now_v7());
    let digest = call.query.first("digest").map(str::parse::<ContentDigest>).transpose()?;
    if let Some(digest) = digest {
        return end::keep(call, digest, staged, None, body).await;
    }
    let upload = Upload { owner: owner(&call, &caller), staged, seen: None };
    if call.hub.database.is_alone() {
        rows::find_to_change(&mut *call.hub.database.readers().acquire().await?, &call.name).await?;
        call.hub.begun.add(upload.staged.id, upload.owner);
    } else {
        pushes::persist(|| upload.insert(&call)).await?;
    }
    Ok(progress(&call, &upload.staged)
        .status(StatusCode::ACCEPTED)
        .body(Body::empty())
        .expect("every header is text"))
}

/// Lets a blob be read here that the caller may read elsewhere; not where it is not there, or not for the caller.
async fn mount(call: &Call, caller: &Caller, digest: &ContentDigest, from: &str) -> Result<bool, Refused> {
    let Ok(source) = from.parse::<RepositoryName>() else { return Ok(false) };
    if call::permit(&call.hub, caller, Action::Pull, &source).await.is_err() {
        return Ok(false);
    }
    let sees_all = call::permit(&call.hub, caller, Action::Inspect, &source).await.is_ok();
    let mount = Mount { source, sees_all, digest: digest.clone(), name: call.name.clone() };
    pushes::persist(|| {
        let (mount, hub) = (mount.clone(), Arc::clone(&call.hub));
        call.hub
            .database
            .write(move |connection| async move { mount.carry_out(connection, &hub).await }.boxed())
    })
    .await
}

/// A blob that shall be read also elsewhere.
#[derive(Clone)]
struct Mount {
    source: RepositoryName,
    /// Whether the caller sees there what is not released yet.
    sees_all: bool,
    digest: ContentDigest,
    /// Where it shall be read.
    name: RepositoryName,
}

impl Mount {
    /// Whether it was there.
    async fn carry_out(&self, connection: &mut AnyConnection, hub: &Hub) -> Result<bool, Refused> {
        const FIND: &str = "SELECT blobs.size FROM repositories JOIN links ON links.repository = repositories.id \
                            JOIN blobs ON blobs.digest = links.digest WHERE repositories.publisher = $1 \
                            AND repositories.name = $2 AND links.digest = $3 AND (links.visible = 1 OR $4 = 1)";
        let Self { source, sees_all, digest, name } = self;
        let find = sqlx::query(FIND).bind(source.publisher.as_str()).bind(source.rest.as_str());
        let find = find.bind(digest.to_string()).bind(i64::from(*sees_all));
        let Some(row) = find.fetch_optional(&mut *connection).await? else { return Ok(false) };
        let size = u64::try_from(row.try_get::<i64, _>(0)?).unwrap_or_default();
        let now_ms = hub.now_ms();
        let repository = rows::find_or_make(connection, name, now_ms).await?;
        rows::hold(connection, hub, digest, size).await?;
        rows::link(connection, &repository, digest, now_ms).await?;
        rows::check_quota(connection, hub, (name, &repository)).await?;
        Ok(true)
    }
}

/// How far an upload is.
pub(super) async fn status(call: &Call, id: &str) -> Result<Response<Body>, Refused> {
    let caller = call.admit(Action::Push).await?;
    let upload = find(call, &caller, id).await?;
    let answer = progress(call, &upload.staged).status(StatusCode::NO_CONTENT);
    Ok(answer.body(Body::empty()).expect("every header is text"))
}

/// Appends a piece. What came of one that broke off stays, so that the client may go on from there.
pub(super) async fn append(call: Call, id: String, body: Body) -> Result<Response<Body>, Refused> {
    let caller = call.admit(Action::Push).await?;
    // A client that hangs up does not end it: what came is kept.
    let appended = tokio::spawn(async move {
        let mut upload = find(&call, &caller, &id).await?;
        let place = check_place(&call, &upload.staged)?;
        let (body, broke_off) = until_broken(body);
        let before = upload.staged.size;
        call.hub.storage.append(&mut upload.staged, body, |_| ()).await?;
        let arrived = upload.staged.size - before;
        upload.advance(&call).await?;
        if broke_off.is_so() {
            return Err(Refused::BrokenOff);
        }
        check_length(place.as_ref(), arrived)?;
        Ok(progress(&call, &upload.staged).status(StatusCode::ACCEPTED))
    });
    let answer = appended.await.map_err(std::io::Error::other)??;
    Ok(answer.body(Body::empty()).expect("every header is text"))
}

/// Gives an upload up.
pub(super) async fn cancel(call: &Call, id: &str) -> Result<Response<Body>, Refused> {
    let caller = call.admit(Action::Push).await?;
    let upload = find(call, &caller, id).await?;
    call.hub.begun.forget(upload.staged.id);
    let id = upload.staged.id.to_string();
    let removed = call.hub.database.write(move |connection| {
        async move {
            let remove = sqlx::query("DELETE FROM uploads WHERE id = $1").bind(id);
            Ok::<_, Refused>(remove.execute(connection).await?.rows_affected())
        }
        .boxed()
    });
    removed.await?;
    call.hub.storage.discard(&upload.staged).await?;
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    Ok(response)
}

/// Looks for an upload. It is for the account that began it.
async fn find(call: &Call, caller: &Caller, id: &str) -> Result<Upload, Refused> {
    const FIND: &str = "SELECT uploads.staged, uploads.account FROM uploads \
                        JOIN repositories ON repositories.id = uploads.repository \
                        WHERE uploads.id = $1 AND repositories.publisher = $2 AND repositories.name = $3";
    let (owner, missing) =
        (owner(call, caller), || Refused::NoUpload { name: call.name.to_string(), id: id.to_owned() });
    let named: Uuid = id.parse().map_err(|_no_id| missing())?;
    if call.hub.begun.is_of(named, &owner) {
        return Ok(Upload { staged: Staged::new(named), seen: None, owner });
    }
    let find = sqlx::query(FIND).bind(id).bind(call.name.publisher.as_str()).bind(call.name.rest.as_str());
    let row = find.fetch_optional(call.hub.database.readers()).await?.ok_or_else(missing)?;
    let (seen, begun_by): (String, Option<String>) = (row.try_get(0)?, row.try_get(1)?);
    if begun_by != owner.account {
        return Err(missing());
    }
    let staged = serde_json::from_str(&seen).map_err(std::io::Error::other)?;
    Ok(Upload { staged, seen: Some(seen), owner })
}

/// Whose an upload is that this caller begins or goes on with.
fn owner(call: &Call, caller: &Caller) -> Owner {
    Owner { name: call.name.clone(), account: call::account(caller) }
}

impl Upload {
    /// The id of its row, if it has one.
    fn row(&self) -> Option<String> {
        self.seen.as_ref().map(|_| self.staged.id.to_string())
    }

    /// Notes how far it is, unless another request has taken it further in between: that one counts, and what this one
    /// brought does not.
    async fn advance(&mut self, call: &Call) -> Result<(), Refused> {
        let advanced = match self.seen.clone() {
            None => pushes::persist(|| self.insert(call)).await?,
            Some(seen) => self.update(call, seen).await?,
        };
        if advanced == 0 {
            return Err(Refused::OutOfOrder {
                size: self.staged.size,
                given: "that of another request at the same time".to_owned(),
                location: location(call, &self.staged),
            });
        }
        call.hub.begun.forget(self.staged.id);
        self.seen = Some(written(&self.staged));
        Ok(())
    }

    /// Makes its row, unless there is one.
    async fn insert(&self, call: &Call) -> Result<u64, Refused> {
        const INSERT: &str = "INSERT INTO uploads (id, repository, account, staged, touched_ms) \
                              VALUES ($1, $2, $3, $4, $5) ON CONFLICT (id) DO NOTHING";
        let (id, now_ms, next) = (self.staged.id.to_string(), call.hub.now_ms(), written(&self.staged));
        let Owner { name, account } = self.owner.clone();
        let inserted = call.hub.database.write(move |connection| {
            async move {
                let repository = rows::find_or_make(connection, &name, now_ms).await?;
                let insert = sqlx::query(INSERT).bind(id).bind(repository.id.as_str()).bind(account);
                Ok(insert.bind(next).bind(now_ms).execute(connection).await?.rows_affected())
            }
            .boxed()
        });
        inserted.await
    }

    /// Changes its row, unless it is no longer as it was seen.
    async fn update(&self, call: &Call, seen: String) -> Result<u64, Refused> {
        const UPDATE: &str = "UPDATE uploads SET staged = $1, touched_ms = $2 WHERE id = $3 AND staged = $4";
        let (id, now_ms, next) = (self.staged.id.to_string(), call.hub.now_ms(), written(&self.staged));
        let updated = call.hub.database.write(move |connection| {
            async move {
                let update = sqlx::query(UPDATE).bind(next).bind(now_ms).bind(id).bind(seen);
                Ok(update.execute(connection).await?.rows_affected())
            }
            .boxed()
        });
        updated.await
    }
}

/// As a row has it.
fn written(staged: &Staged) -> String {
    serde_json::to_string(staged).expect("it has numbers and texts only")
}

fn location(call: &Call, staged: &Staged) -> String {
    call.path(&format!("blobs/uploads/{}", staged.id))
}

/// An answer that tells how far an upload is.
fn progress(call: &Call, staged: &Staged) -> Builder {
    Response::builder()
        .header(header::LOCATION, location(call, staged))
        .header(header::RANGE, format!("0-{}", staged.size.saturating_sub(1)))
        .header(UPLOAD, staged.id.to_string())
}

/// The answer to a blob that is there now.
fn created(call: &Call, digest: &ContentDigest) -> Response<Body> {
    Response::builder()
        .status(StatusCode::CREATED)
        .header(header::LOCATION, call.path(&format!("blobs/{digest}")))
        .header(CONTENT_DIGEST, digest.to_string())
        .body(Body::empty())
        .expect("every header is text")
}
