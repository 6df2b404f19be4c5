// SPDX-License-Identifier: Apache-2.0
//! Reviews, those who give them, and how many are needed.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use futures_util::FutureExt as _;
use serde_json::json;
use trust::Signer;
use wire::Problem;
use wire::hub::{NewReview, ReviewKey, ReviewKeyView, ReviewPolicy, ReviewView, Waiting};

use super::super::release::Release;
use super::super::reviews::{self as reviewing, Reviewer};
use super::super::{policies, release};
use super::known::{ReleasePath, release as known_release, release_to};
use super::refused::{Refused, invalid, missing};
use crate::Hub;
use crate::access::{self, Action, Caller, Place, Resource, Scope};
use crate::audit::{self, Note};
use crate::given::{Body, Named};
use crate::time::rfc3339;

/// As many releases that wait are looked at.
const MOST_WAITING: i64 = 500;

/// What reviewers said of a release, oldest first
#[utoipa::path(
    get, path = "/api/v1/packages/{publisher}/{name}/versions/{version}/reviews", tag = "reviews",
    params(ReleasePath), responses((status = 200, body = [ReviewView]), (status = "default", body = Problem))
)]
pub(super) async fn of_release(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    Named(path): Named<ReleasePath>,
) -> Result<Json<Vec<ReviewView>>, Refused> {
    let release = known_release(&hub, &caller, &path).await?;
    Ok(Json(reviewing::of(hub.database.readers(), &release.id).await?))
}

/// Review a release: a decision, signed by a registered key, or words
#[utoipa::path(
    post, path = "/api/v1/packages/{publisher}/{name}/versions/{version}/reviews", tag = "reviews",
    params(ReleasePath), request_body = NewReview, responses((status = 201), (status = "default", body = Problem))
)]
pub(super) async fn add(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    Named(path): Named<ReleasePath>,
    Body(new): Body<NewReview>,
) -> Result<StatusCode, Refused> {
    let release = release_to(&hub, &caller, (Action::Review, &path)).await?;
    let reviewer = reviewer(&hub, &caller, &release).await?;
    match new {
        NewReview { envelope: Some(envelope), comment: None } => {
            // The envelope is base64 inside, so that its bytes are those that were signed however it is written.
            let envelope = serde_json::to_vec(&envelope).map_err(invalid)?;
            reviewing::decide(&hub, &release, reviewer, &envelope).await?;
        }
        NewReview { envelope: None, comment: Some(text) } => {
            reviewing::comment(&hub, &release, &reviewer, text).await?;
        }
        NewReview { .. } => return Err(invalid("a review has either an `envelope` or a `comment`")),
    }
    Ok(StatusCode::CREATED)
}

async fn reviewer(hub: &Arc<Hub>, caller: &Caller, release: &Release) -> Result<Reviewer, Refused> {
    let (account, handle) = caller.account_for(&Scope::WriteApi)?;
    let select = "SELECT 1 FROM members WHERE publisher = $1 AND account = $2";
    let member = sqlx::query(select).bind(&release.publisher).bind(account);
    let is_member = member.fetch_optional(hub.database.readers()).await?.is_some();
    let own = is_member || release.pushed_by.as_deref() == Some(account);
    Ok(Reviewer { account: account.to_owned(), handle: handle.to_owned(), own })
}

/// What waits for reviewers, as far as the caller may review it, those first that wait longest
#[utoipa::path(
    get, path = "/api/v1/reviews/waiting", tag = "reviews",
    responses((status = 200, body = [Waiting]), (status = "default", body = Problem))
)]
pub(super) async fn waiting(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
) -> Result<Json<Vec<Waiting>>, Refused> {
    caller.account_for(&Scope::ReadApi)?;
    let mut told = Vec::new();
    for release in release::Release::waiting(hub.database.readers(), MOST_WAITING).await? {
        let place = Place { publisher: release.publisher.clone(), repository: release.name.clone() };
        if hub.access.permit(&caller, Action::Review, &place).await.is_err() {
            continue;
        }
        let mut connection = hub.database.readers().acquire().await?;
        let rules = &hub.config.review;
        let policy = policies::of(&mut connection, &release, release.facts.as_ref(), rules).await?;
        told.push(Waiting {
            approvals: reviewing::approvals(&mut connection, &release.id).await?,
            needed: policy.approvals,
            publisher: release.publisher,
            name: release.name,
            version: release.version.to_string(),
            digest: release.digest,
            pushed: rfc3339(release.pushed_ms),
        });
    }
    Ok(Json(told))
}

/// Register a key by which the caller signs decisions
#[utoipa::path(
    post, path = "/api/v1/reviews/keys", tag = "reviews", request_body = ReviewKey,
    responses((status = 201), (status = "default", body = Problem))
)]
pub(super) async fn add_key(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    Body(ReviewKey { pem }): Body<ReviewKey>,
) -> Result<StatusCode, Refused> {
    let (account, handle) = caller.account_for(&Scope::WriteApi)?;
    let signer = Signer::from_pem(&pem).map_err(invalid)?;
    let (account, actor, now_ms) = (account.to_owned(), handle.to_owned(), hub.now_ms());
    let added = hub.database.write(move |connection| {
        async move {
            let detail = json!({ "key": signer.to_string() });
            let note = Note { now_ms, actor: &actor, action: "review.key", subject: &actor, detail };
            audit::note(connection, &note).await?;
            reviewing::add_key(connection, &account, &signer, now_ms).await
        }
        .boxed()
    });
    added.await?;
    Ok(StatusCode::CREATED)
}

/// The keys by which the caller signs decisions
#[utoipa::path(
    get, path = "/api/v1/reviews/keys", tag = "reviews",
    responses((status = 200, body = [ReviewKeyView]), (status = "default", body = Problem))
)]
pub(super) async fn keys(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
) -> Result<Json<Vec<ReviewKeyView>>, Refused> {
    let (account, _) = caller.account_for(&Scope::ReadApi)?;
    let mut connection = hub.database.readers().acquire().await?;
    Ok(Json(reviewing::keys(&mut connection, account).await?))
}

/// Take no decisions any more that are signed by a key of the caller
///
/// What was decided by it stays decided: a node's policy says by whose keys a review counts there.
#[utoipa::path(
    delete, path = "/api/v1/reviews/keys/{key}", tag = "reviews", params(("key" = String, Path)),
    responses((status = 204), (status = "default", body = Problem))
)]
pub(super) async fn remove_key(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    Named(key): Named<String>,
) -> Result<StatusCode, Refused> {
    let (account, handle) = caller.account_for(&Scope::WriteApi)?;
    let (account, actor, now_ms) = (account.to_owned(), handle.to_owned(), hub.now_ms());
    let removed = hub.database.write(move |connection| {
        async move {
            let detail = json!({ "key": key });
            let note = Note { now_ms, actor: &actor, action: "review.key.remove", subject: &actor, detail };
            audit::note(connection, &note).await?;
            if reviewing::remove_key(connection, &account, &key).await? {
                return Ok(StatusCode::NO_CONTENT);
            }
            Err(missing("key", key))
        }
        .boxed()
    });
    removed.await
}

/// Say who must look at releases of a publisher or a category, for administrators
#[utoipa::path(
    put, path = "/api/v1/reviews/policies/{scope}/{name}", tag = "reviews", request_body = ReviewPolicy,
    params(("scope" = String, Path, description = "`publisher` or `category`"), ("name" = String, Path)),
    responses((status = 204), (status = "default", body = Problem))
)]
pub(super) async fn set_policy(
    State(hub): State<Arc<Hub>>,
    caller: Caller,
    Named((scope, name)): Named<(String, String)>,
    Body(policy): Body<ReviewPolicy>,
) -> Result<StatusCode, Refused> {
    hub.access.permit(&caller, Action::Administer, Resource::Hub).await?;
    if scope != "publisher" && scope != "category" {
        return Err(access::Refused::Missing { what: "scope of policies", name: scope }.into());
    }
    let (actor, now_ms) = (caller.to_string(), hub.now_ms());
    let set = hub.database.write(move |connection| {
        async move {
            let (subject, detail) = (format!("{scope} {name}"), json!(policy));
            let note = Note { now_ms, actor: &actor, action: "review.policy", subject: &subject, detail };
            audit::note(connection, &note).await?;
            policies::set(connection, &scope, &name, policy).await
        }
        .boxed()
    });
    set.await?;
    Ok(StatusCode::NO_CONTENT)
}
