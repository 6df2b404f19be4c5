// SPDX-License-Identifier: Apache-2.0
//! Maps of what runs, over the API: keys and values are JSON as `docs/map-interface.md` has it.
//!
//! Whoever asks for all entries gets a line for each as the kernel tells them, so that no map is too large.

use std::convert::Infallible;
use std::io;

use axum::body::{Body, Bytes};
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use kernel::Batch;
use package::MemberName;
use serde::Deserialize;
use tokio::sync::mpsc;
use wire::{MapChange, MapChanged, MapEnd, MapEntry, MapPlace, Problem};

use super::answer::{answer, ask};
use super::{Served, refuse};
use crate::engine::{HERE, Held};
use crate::server::Shared;
use crate::{BadMapCall, Rejected};

/// The most that one change may say.
const CHANGE_BYTES: usize = 16 * 1024 * 1024;
/// How many pieces wait for whoever reads slowly.
const WAITING: usize = 4;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    pub(super) hook: Option<String>,
    pub(super) key: Option<String>,
    #[serde(default)]
    pub(super) per_cpu: bool,
}

/// Changes may be longer than other calls.
pub(super) fn body_limit() -> DefaultBodyLimit {
    DefaultBodyLimit::max(CHANGE_BYTES)
}

/// The maps of all that runs, with what they hold
#[utoipa::path(get, path = "/v1/maps", responses((status = 200, body = wire::Maps), (status = "default", body = Problem)))]
pub(super) async fn maps(State(engine): State<Shared>) -> Response {
    answer(engine, |engine| engine.maps()).await
}

/// One entry of a map
#[utoipa::path(
    get, path = "/v1/maps/{member}/{map}",
    params(
        ("member" = String, Path, description = "the member or probe"),
        ("map" = String, Path, description = "the map, or a section of global variables such as `.bss`"),
        ("hook" = Option<String>, Query, description = "the hook of its chain, such as `eth0/xdp`, where several have a member of that name"),
        ("key" = Option<String>, Query, description = "the key, as a word or as JSON; none for global variables"),
        ("per_cpu" = Option<bool>, Query, description = "whether the values of all processors are told in place of their sum")
    ),
    responses((status = 200, body = MapEntry), (status = 404, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem), (status = "default", body = Problem))
)]
pub(super) async fn entry(
    State(engine): State<Shared>,
    path: Result<Path<(String, String)>, PathRejection>,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Response {
    let (place, wanted) = match read(path, wanted) {
        Ok(read) => read,
        Err(refused) => return refused,
    };
    answer(engine, move |engine| {
        let held = engine.open_map(&place)?;
        let text = wanted.key.unwrap_or_default();
        let key = held.key(&text)?;
        let unread = |source| BadMapCall::Unread { map: held.map.name.clone(), source };
        let values = held.open.look_up(&key).map_err(unread)?;
        let no_entry = || BadMapCall::NoEntry { map: held.map.name.clone(), key: text };
        let values = values.ok_or_else(no_entry)?;
        let values: Vec<&[u8]> = values.iter().map(Vec::as_slice).collect();
        told(&held, &key, &values, wanted.per_cpu)
    })
    .await
}

/// An entry as whoever asks is told it.
pub(crate) fn told(held: &Held, key: &[u8], values: &[&[u8]], per_cpu: bool) -> Result<MapEntry, Rejected> {
    let unfit = |wrong: maps::WrongSize| BadMapCall::Unread {
        map: held.map.name.clone(),
        source: io::Error::other(wrong),
    };
    let key = held.map.key.as_ref().map(|is| is.decode(key, HERE)).transpose().map_err(unfit)?;
    let is = held.value();
    let (value, without_sum) = match values {
        [only] if !held.open.is_per_cpu() => (is.decode(only, HERE).map_err(unfit)?, Vec::new()),
        all if per_cpu => {
            let all = all.iter().map(|value| is.decode(value, HERE)).collect::<Result<Vec<_>, _>>();
            (all.map_err(unfit)?.into(), Vec::new())
        }
        all => {
            let sum = is.sum(all, HERE).map_err(unfit)?;
            (sum.value, sum.without)
        }
    };
    Ok(MapEntry { key, value, without_sum })
}

/// All entries of a map, a line of JSON for each, and one at the end
#[utoipa::path(
    get, path = "/v1/maps/{member}/{map}/entries",
    params(
        ("member" = String, Path, description = "the member or probe"),
        ("map" = String, Path, description = "the map, or a section of global variables such as `.bss`"),
        ("hook" = Option<String>, Query, description = "the hook of its chain, such as `eth0/xdp`, where several have a member of that name"),
        ("per_cpu" = Option<bool>, Query, description = "whether the values of all processors are told in place of their sum")
    ),
    responses(
        (status = 200, content((wire::MapLine = "application/x-ndjson")), description = "each line is one of these"),
        (status = 404, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem), (status = "default", body = Problem)
    )
)]
pub(super) async fn entries(
    State(engine): State<Shared>,
    path: Result<Path<(String, String)>, PathRejection>,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Response {
    let (place, wanted) = match read(path, wanted) {
        Ok((_, Wanted { key: Some(_), .. })) => {
            return refuse(400, "query", "`key` is for one entry", "ask for `/v1/maps/MEMBER/MAP?key=KEY`");
        }
        Ok(read) => read,
        Err(refused) => return refused,
    };
    let held = match ask(engine, move |engine| engine.open_map(&place)).await {
        Ok(held) => held,
        Err(refused) => return refused,
    };
    let (tell, told) = mpsc::channel(WAITING);
    tokio::task::spawn_blocking(move || write_all(&held, wanted.per_cpu, &tell));
    let pieces = stream::unfold(told, async |mut told: mpsc::Receiver<Bytes>| {
        let piece = told.recv().await?;
        Some((Ok::<_, Infallible>(piece), told))
    });
    ([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(pieces)).into_response()
}

/// Writes all entries, until nobody reads them any more.
fn write_all(held: &Held, per_cpu: bool, tell: &mpsc::Sender<Bytes>) {
    let (mut entries, mut problem) = (0, None);
    for batch in held.open.batches() {
        let written = batch.map_err(|error| error.to_string()).and_then(|batch| {
            let mut text = Vec::new();
            let count = write(held, &batch, per_cpu, &mut text)?;
            Ok((text, count))
        });
        match written {
            Ok((text, count)) => {
                entries += count;
                if tell.blocking_send(text.into()).is_err() {
                    return;
                }
            }
            Err(error) => {
                problem = Some(error);
                break;
            }
        }
    }
    // The end is a line of numbers and text.
    let mut end = serde_json::to_vec(&MapEnd { entries, problem }).unwrap_or_default();
    end.push(b'\n');
    drop(tell.blocking_send(end.into()));
}

/// Writes a line for each entry. Returns how many there were.
fn write(held: &Held, batch: &Batch, per_cpu: bool, text: &mut Vec<u8>) -> Result<u64, String> {
    let mut count = 0;
    for (key, values) in batch.entries() {
        if held.open.is_per_cpu() {
            let all: Vec<&[u8]> = values.iter().collect();
            let entry = told(held, key, &all, per_cpu).map_err(|rejected| rejected.problem().to_string())?;
            serde_json::to_writer(&mut *text, &entry).map_err(|error| error.to_string())?;
        } else {
            let line = held.map.view(key, values.first(), HERE).map_err(|error| error.to_string())?;
            serde_json::to_writer(&mut *text, &line).map_err(|error| error.to_string())?;
        }
        text.push(b'\n');
        count += 1;
    }
    Ok(count)
}

/// Changes entries of a map: all of them, or none
#[utoipa::path(
    patch, path = "/v1/maps/{member}/{map}",
    params(
        ("member" = String, Path, description = "the member or probe"),
        ("map" = String, Path, description = "the map"),
        ("hook" = Option<String>, Query, description = "the hook of its chain, such as `eth0/xdp`, where several have a member of that name")
    ),
    request_body = MapChange,
    responses((status = 200, body = MapChanged), (status = 404, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem), (status = "default", body = Problem))
)]
pub(super) async fn change(
    State(Served { engine, .. }): State<Served>,
    path: Result<Path<(String, String)>, PathRejection>,
    wanted: Result<Query<Wanted>, QueryRejection>,
    change: Result<axum::Json<MapChange>, JsonRejection>,
) -> Response {
    let (place, wanted) = match read(path, wanted) {
        Ok(read) => read,
        Err(refused) => return refused,
    };
    if wanted.key.is_some() || wanted.per_cpu {
        return refuse(400, "query", "a change has its keys in its body", "for example `?hook=eth0/xdp`");
    }
    let change = match change {
        Ok(axum::Json(change)) => change,
        Err(rejection) => {
            let hint = "for example `{\"set\": [{\"key\": 443, \"value\": \"100/s\"}], \"delete\": [80]}`";
            return refuse(rejection.status().as_u16(), "map-change", &rejection.body_text(), hint);
        }
    };
    answer(engine, move |engine| engine.change_map(&place, &change)).await
}

pub(super) fn read(
    path: Result<Path<(String, String)>, PathRejection>,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Result<(MapPlace, Wanted), Response> {
    let bad_path = |text: &str| refuse(400, "name", text, "name a member and one of its maps");
    let Path((member, map)) = path.map_err(|rejection| bad_path(&rejection.body_text()))?;
    let member: MemberName = member.parse().map_err(|bad: package::BadName| bad_path(&bad.to_string()))?;
    let hint = "for example `?hook=eth0/xdp&key=443`";
    let Query(wanted) = wanted.map_err(|rejection| refuse(400, "query", &rejection.body_text(), hint))?;
    Ok((MapPlace { member, hook: wanted.hook.clone(), map }, wanted))
}
