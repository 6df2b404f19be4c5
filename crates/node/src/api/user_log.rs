// SPDX-License-Identifier: Apache-2.0
//! What user programs write, over the API: the last lines, or a stream of server-sent events that goes on.
//!
//! A program is looked up by the name of its package. No part of a request becomes part of a path.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::Deserialize;
use tokio::sync::watch;
use wire::{Problem, UserProgramLog, UserProgramName};

use super::{Served, ask, finished, refuse};
use crate::Rejected;
use crate::server::{Shared, with};
use crate::user::Named;
use crate::user::log::{Follower, tail};

/// How many lines are told where nobody says how many.
const LINES: u32 = 100;
const MOST_LINES: u32 = 10_000;
/// How often a log that is followed is looked at.
const PAUSE: Duration = Duration::from_millis(200);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    lines: Option<u32>,
    #[serde(default)]
    follow: bool,
}

/// The last lines that a user program wrote; with `follow`, each as the data of a server-sent event, as a JSON string, and then
/// what it writes from then on
#[utoipa::path(
    get, path = "/v1/user-programs/{name}/log",
    params(
        ("name" = String, Path, description = "its package, or `publisher/package` with the slash as `%2F`"),
        ("lines" = Option<u32>, Query, description = "how many lines, at most 10000 [default: 100]"),
        ("follow" = Option<bool>, Query, description = "whether to go on with a stream (`text/event-stream`)")
    ),
    responses((status = 200, body = UserProgramLog), (status = 404, body = Problem), (status = 409, body = Problem), (status = "default", body = Problem))
)]
pub(super) async fn user_log(
    State(served): State<Served>,
    name: Result<Path<String>, PathRejection>,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Response {
    let (name, lines, follow) = match read(name, wanted) {
        Ok(read) => read,
        Err(response) => return response,
    };
    let begun = begin(&served.engine, name.clone(), lines).await;
    let (program, mut lines, mut follower) = match begun {
        Ok(begun) => begun,
        Err(response) => return response,
    };
    if !follow {
        lines.extend(follower.rest());
        return axum::Json(UserProgramLog { lines }).into_response();
    }
    let (engine, end) = (served.engine, served.end);
    let log = Followed { engine, end, name, program, follower, pending: lines.into() };
    let events = stream::unfold(log, async |mut log| {
        let line = log.next().await?;
        // Of a text there is always JSON.
        let event = Event::default().json_data(line).unwrap_or_default();
        Some((Ok::<_, Infallible>(event), log))
    });
    Sse::new(events).keep_alive(KeepAlive::default()).into_response()
}

fn read(
    name: Result<Path<String>, PathRejection>,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Result<(UserProgramName, u32, bool), Response> {
    let bad_name = |text: &str| refuse(400, "name", text, "name the package, or `publisher%2Fpackage`");
    let Path(name) = name.map_err(|rejection| bad_name(&rejection.body_text()))?;
    let name = name.parse().map_err(|bad: package::BadName| bad_name(&bad.to_string()))?;
    let hint = "for example `?lines=20&follow=true`";
    let Query(Wanted { lines, follow }) =
        wanted.map_err(|rejection| refuse(400, "query", &rejection.body_text(), hint))?;
    let lines = lines.unwrap_or(LINES);
    if lines > MOST_LINES {
        let title = format!("a log is told by at most {MOST_LINES} lines, not {lines}");
        return Err(refuse(400, "query", &title, "the status of the node names the file"));
    }
    Ok((name, lines, follow))
}

/// Finds the program, and reads the end of its log.
async fn begin(
    engine: &Shared,
    name: UserProgramName,
    lines: u32,
) -> Result<(Named, Vec<String>, Follower), Response> {
    let program = ask(Arc::clone(engine), move |engine| engine.user_program(&name)).await?;
    finished(tokio::task::spawn_blocking(move || {
        let path = program.log().to_owned();
        let (lines, follower) = tail(&path, usize::try_from(lines).unwrap_or(usize::MAX))
            .map_err(|source| Rejected::UserLog { path, source })?;
        Ok((program, lines, follower))
    }))
    .await
}

/// A log that somebody follows.
struct Followed {
    engine: Shared,
    end: watch::Receiver<bool>,
    name: UserProgramName,
    program: Named,
    follower: Follower,
    pending: VecDeque<String>,
}

impl Followed {
    /// The next line; none when the program is gone or the daemon ends.
    async fn next(&mut self) -> Option<String> {
        loop {
            if let Some(line) = self.pending.pop_front() {
                return Some(line);
            }
            // Whatever it wrote, it wrote before that.
            let has_ended = self.program.has_ended();
            let lines = self.read().await?;
            self.pending.extend(lines);
            if !self.pending.is_empty() {
                continue;
            }
            if has_ended && !self.turn_to_successor().await {
                return self.follower.rest();
            }
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                // A sender that is gone means the end as well.
                _ = self.end.wait_for(|ended| *ended) => return None,
            }
        }
    }

    /// What was written since, read where it may wait for disks.
    async fn read(&mut self) -> Option<Vec<String>> {
        let mut follower = std::mem::take(&mut self.follower);
        let read = tokio::task::spawn_blocking(move || (follower.read(), follower)).await;
        let (lines, follower) = read.ok()?;
        self.follower = follower;
        match lines {
            Ok(lines) => Some(lines),
            Err(error) => {
                tracing::warn!(package.name = %self.name.package, "cannot follow what the user program writes: {error}");
                None
            }
        }
    }

    /// Goes on with the program of the release that took the place of this one.
    async fn turn_to_successor(&mut self) -> bool {
        let name = self.name.clone();
        match with(&self.engine, move |engine| engine.user_program(&name)).await {
            Ok(Ok(program)) => {
                self.program = program;
                true
            }
            Ok(Err(_)) | Err(_) => false,
        }
    }
}
