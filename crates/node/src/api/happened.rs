// SPDX-License-Identifier: Apache-2.0
//! What happened, as a list, or as it happens.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, header};
use axum::response::sse::{self, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, Stream};
use serde::Deserialize;
use tokio::sync::watch;
use wire::{Event, Problem};

use super::{Served, refuse};
use crate::events::Events;

/// What is asked for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    after: Option<u64>,
}

/// What happened, the latest last; with `Accept: text/event-stream` also what happens from now on
#[utoipa::path(
    get, path = "/v1/events",
    params(
        ("after" = Option<u64>, Query, format = "uint64", description = "the number of the last event that is known already"),
        ("Last-Event-ID" = Option<u64>, Header, format = "uint64", description = "the same, as clients of server-sent events tell it")
    ),
    responses(
        (status = 200, content((Vec<Event> = "application/json"), (String = "text/event-stream")), description = "events; the daemon keeps the last 1000 since its start"),
        (status = "default", body = Problem)
    )
)]
pub(super) async fn events(
    State(Served { events, end, .. }): State<Served>,
    headers: HeaderMap,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Response {
    let after = match asked {
        Ok(Query(asked)) => asked.after,
        Err(rejection) => {
            return refuse(400, "query", &rejection.body_text(), "`after` takes the number of an event");
        }
    };
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let known = text("last-event-id".parse().expect("it is a name")).map(str::parse).transpose();
    let Ok(known) = known else {
        let title = "`Last-Event-ID` is not the number of an event";
        return refuse(400, "last-event-id", title, "leave it out, and all events come that are kept");
    };
    let after = after.or(known).unwrap_or_default();
    if text(header::ACCEPT).is_some_and(|accepted| accepted.contains("text/event-stream")) {
        return Sse::new(follow(events, end, after)).keep_alive(KeepAlive::default()).into_response();
    }
    axum::Json(events.after(after)).into_response()
}

/// One event after the other, as they happen, until the daemon ends.
fn follow(
    events: Arc<Events>,
    end: watch::Receiver<bool>,
    after: u64,
) -> impl Stream<Item = Result<sse::Event, Infallible>> {
    let ears = (events.listen(), end);
    stream::unfold((events, ears, after, Vec::new()), async |(events, mut ears, mut after, mut waiting)| {
        let (news, end) = &mut ears;
        while waiting.is_empty() {
            news.mark_unchanged();
            waiting = events.after(after);
            waiting.reverse();
            if waiting.is_empty() {
                tokio::select! {
                    changed = news.changed() => changed.ok()?,
                    _ = end.wait_for(|ends| *ends) => return None,
                }
            }
        }
        let event: Event = waiting.pop()?;
        after = event.number;
        let told = sse::Event::default().id(event.number.to_string()).json_data(&event);
        // What cannot be written is nothing that a client could read.
        let told = told.unwrap_or_default();
        Some((Ok(told), (events, ears, after, waiting)))
    })
}
