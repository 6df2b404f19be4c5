// SPDX-License-Identifier: Apache-2.0
//! What happened, newest first, as Atom (RFC 4287): of the whole hub, of a publisher, of a package. Of what everybody may see.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use jiff::Timestamp;
use sqlx::{FromRow, Row as _};

use super::Kind;
use crate::Hub;

/// How many entries a feed has.
const ENTRIES: i64 = 50;

/// A feed, as Atom has it.
#[derive(Template)]
#[template(path = "feed.xml")]
struct Feed {
    /// The address of the hub.
    url: String,
    /// The path of this feed.
    path: String,
    title: String,
    updated: String,
    entries: Vec<Entry>,
}

struct Entry {
    id: String,
    kind: Kind,
    publisher: String,
    package: String,
    version: String,
    text: String,
    at: String,
}

/// What a feed is of; empty parts are all there are.
#[derive(Debug, Default)]
struct Of {
    publisher: String,
    package: String,
}

pub(super) fn routes() -> Router<Arc<Hub>> {
    Router::new()
        .route("/feeds/all.atom", get(async |State(hub): State<Arc<Hub>>| hub.feed(&Of::default()).await))
        .route("/feeds/publishers/{publisher}", get(of_publisher))
        .route("/feeds/packages/{publisher}/{package}", get(of_package))
}

async fn of_publisher(State(hub): State<Arc<Hub>>, Path(name): Path<String>) -> Response {
    match name.strip_suffix(".atom") {
        Some(publisher) => hub.feed(&Of { publisher: publisher.to_owned(), package: String::new() }).await,
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn of_package(
    State(hub): State<Arc<Hub>>,
    Path((publisher, name)): Path<(String, String)>,
) -> Response {
    match name.strip_suffix(".atom") {
        Some(package) => hub.feed(&Of { publisher, package: package.to_owned() }).await,
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

impl Hub {
    async fn feed(&self, of: &Of) -> Response {
        match self.entries(of).await {
            Ok(entries) => {
                // A feed in which nothing happened yet has a time as well, and the same at each call.
                let updated = entries
                    .first()
                    .map_or_else(|| Timestamp::UNIX_EPOCH.to_string(), |entry| entry.at.clone());
                let feed =
                    Feed { url: self.config.url(), path: of.path(), title: of.title(), updated, entries };
                let text =
                    feed.render().expect("a template that was compiled has no errors but those of memory");
                ([(CONTENT_TYPE, "application/atom+xml; charset=utf-8")], text).into_response()
            }
            Err(error) => {
                tracing::error!("cannot read events: {error}");
                StatusCode::SERVICE_UNAVAILABLE.into_response()
            }
        }
    }

    async fn entries(&self, of: &Of) -> sqlx::Result<Vec<Entry>> {
        let public = Kind::ALL.into_iter().filter(|kind| kind.is_public());
        let kinds: Vec<String> = public.map(|kind| format!("'{kind}'")).collect();
        let statement = format!(
            "SELECT e.id, e.kind, e.publisher, e.package, e.version, e.text, e.at_ms FROM events e \
             JOIN repositories r ON r.publisher = e.publisher AND r.name = e.package \
             WHERE r.public = 1 AND e.kind IN ({}) AND ($1 = '' OR e.publisher = $1) AND ($2 = '' OR e.package = $2) \
             ORDER BY e.at_ms DESC, e.id DESC LIMIT $3",
            kinds.join(", ")
        );
        let selected = sqlx::query_as(sqlx::AssertSqlSafe(statement))
            .bind(&of.publisher)
            .bind(&of.package)
            .bind(ENTRIES);
        selected.fetch_all(self.database.readers()).await
    }
}

impl Of {
    fn path(&self) -> String {
        match (self.publisher.as_str(), self.package.as_str()) {
            ("", _) => "/feeds/all.atom".to_owned(),
            (publisher, "") => format!("/feeds/publishers/{publisher}.atom"),
            (publisher, package) => format!("/feeds/packages/{publisher}/{package}.atom"),
        }
    }

    fn title(&self) -> String {
        match (self.publisher.as_str(), self.package.as_str()) {
            ("", _) => "All packages".to_owned(),
            (publisher, "") => format!("Packages of {publisher}"),
            (publisher, package) => format!("{publisher}/{package}"),
        }
    }
}

impl<'r> FromRow<'r, sqlx::any::AnyRow> for Entry {
    fn from_row(row: &'r sqlx::any::AnyRow) -> sqlx::Result<Self> {
        let at_ms: i64 = row.try_get("at_ms")?;
        let at = Timestamp::from_millisecond(at_ms).map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
        Ok(Self {
            id: row.try_get("id")?,
            kind: row.try_get::<String, _>("kind")?.parse()?,
            publisher: row.try_get("publisher")?,
            package: row.try_get("package")?,
            version: row.try_get("version")?,
            text: row.try_get("text")?,
            at: at.to_string(),
        })
    }
}
