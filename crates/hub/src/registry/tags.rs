// SPDX-License-Identifier: Apache-2.0
//! Lists of tags: end-8 of the specification.

use axum::response::{IntoResponse as _, Response};
use serde_json::json;
use sqlx::Row as _;

use super::call::Call;
use super::refused::Refused;
use super::{json, next_page, rows};
use crate::access::Action;

/// The most tags of an answer; more are on the next page.
const MOST: u32 = 10_000;

/// Lists the tags of a repository in the order of their bytes, those after `last`, `n` at most.
pub(super) async fn list(call: &Call) -> Result<Response, Refused> {
    const LIST: &str = "SELECT tags.name FROM tags JOIN manifests \
                        ON manifests.repository = tags.repository AND manifests.digest = tags.digest \
                        WHERE tags.repository = $1 AND tags.name > $2 AND (manifests.visible = 1 OR $3 = 1) \
                        ORDER BY tags.name LIMIT $4";
    let caller = call.admit(Action::Pull).await?;
    let count = call.query.count(MOST)?;
    let mut connection = call.hub.database.readers().acquire().await?;
    let Some(repository) = rows::find(&mut connection, &call.name).await? else {
        return Err(call.no_repository());
    };
    let sees_all = i64::from(repository.is_registry || call.sees_all(&caller).await);
    let list = sqlx::query(LIST).bind(repository.id).bind(call.query.first("last").unwrap_or_default());
    let list = list.bind(sees_all).bind(i64::from(count) + 1);
    let rows = list.fetch_all(&mut *connection).await?;
    let mut names = rows.iter().map(|row| row.try_get(0)).collect::<Result<Vec<String>, _>>()?;
    let has_more = names.len() > count as usize && count > 0;
    names.truncate(count as usize);
    let link = names
        .last()
        .filter(|_| has_more)
        .map(|last| [next_page(&call.path("tags/list"), &format!("n={count}&last={last}"))]);
    let body = json(json!({ "name": call.name.to_string(), "tags": names }).to_string());
    Ok(match link {
        Some(link) => (link, body).into_response(),
        None => body,
    })
}
