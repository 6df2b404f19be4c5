// SPDX-License-Identifier: Apache-2.0
//! The list of repositories, as Docker's registry has it. It shows what the caller may read.

use axum::http::HeaderMap;
use axum::response::{IntoResponse as _, Response};
use serde_json::json;
use sqlx::Row as _;

use super::call::{self, permit};
use super::name::RepositoryName;
use super::query::Query;
use super::refused::Refused;
use super::{json, next_page};
use crate::Hub;
use crate::access::Action;

/// The most names of an answer; more are on the next page.
const MOST: u32 = 1000;

/// Lists repositories by their publishers and then by the rest of their names, those after `last`, `n` at most.
pub(super) async fn list(hub: &Hub, headers: &HeaderMap, query: &Query) -> Result<Response, Refused> {
    let caller = call::caller(hub, headers).await?;
    let count = query.count(MOST)? as usize;
    let mut last = query.first("last").unwrap_or_default().to_owned();
    let mut names = Vec::new();
    while names.len() <= count {
        let page = after(hub, &last).await?;
        let Some(end) = page.last() else { break };
        last = end.to_string();
        for name in page {
            if permit(hub, &caller, Action::Pull, &name).await.is_ok() {
                names.push(name.to_string());
            }
        }
    }
    let has_more = names.len() > count && count > 0;
    names.truncate(count);
    let link = names.last().filter(|_| has_more);
    let link = link.map(|last| [next_page("/v2/_catalog", &format!("n={count}&last={last}"))]);
    let body = json(json!({ "repositories": names }).to_string());
    Ok(match link {
        Some(link) => (link, body).into_response(),
        None => body,
    })
}

/// The names after a name.
async fn after(hub: &Hub, last: &str) -> Result<Vec<RepositoryName>, Refused> {
    const LIST: &str = "SELECT publisher, name FROM repositories WHERE publisher > $1 OR (publisher = $1 AND name > $2) \
                        ORDER BY publisher, name LIMIT $3";
    let (publisher, rest) = last.split_once('/').unwrap_or((last, ""));
    let find = sqlx::query(LIST).bind(publisher).bind(rest).bind(i64::from(MOST));
    let rows = find.fetch_all(hub.database.readers()).await?;
    let name = |row: &sqlx::any::AnyRow| -> Result<RepositoryName, Refused> {
        let (publisher, rest): (String, String) = (row.try_get(0)?, row.try_get(1)?);
        Ok(format!("{publisher}/{rest}").parse()?)
    };
    rows.iter().map(name).collect()
}
