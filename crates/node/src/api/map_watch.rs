// SPDX-License-Identifier: Apache-2.0
//! Maps that are watched, as server-sent events: what changes in them, or the events that a program hands over.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use kernel::{Heard, MapEvents};
use maps::Type;
use serde_json::Value;
use tokio::sync::{mpsc, watch};
use wire::{MapTold, Problem};

use super::answer::ask;
use super::maps::{Wanted, read, told};
use super::{Served, refuse};
use crate::engine::{HERE, Held, Reader};

/// How much waits for whoever reads slowly.
const WAITING: usize = 4096;
/// How often entries are compared with what they were.
const PAUSE: Duration = Duration::from_secs(1);
/// How long to wait for events until it is looked whether all should end.
const PATIENCE: Duration = Duration::from_millis(100);
/// The most entries of a map that is watched: all are kept in mind.
const MOST_ENTRIES: usize = 100_000;

/// What changes in a map, seen each second; or the events that a program hands over, each told once, to one who reads
#[utoipa::path(
    get, path = "/v1/maps/{member}/{map}/watch",
    params(
        ("member" = String, Path, description = "the member or probe"),
        ("map" = String, Path, description = "the map, or a section of global variables such as `.bss`"),
        ("hook" = Option<String>, Query, description = "the hook of its chain, such as `eth0/xdp`, where several have a member of that name"),
        ("per_cpu" = Option<bool>, Query, description = "whether the values of all processors are told in place of their sum")
    ),
    responses(
        (status = 200, content((MapTold = "text/event-stream")), description = "the data of each event is one of these"),
        (status = 404, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem), (status = "default", body = Problem)
    )
)]
pub(super) async fn watch(
    State(Served { engine, end, .. }): State<Served>,
    path: Result<Path<(String, String)>, PathRejection>,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Response {
    let (place, wanted) = match read(path, wanted) {
        Ok((_, Wanted { key: Some(_), .. })) => {
            return refuse(400, "query", "a map is watched as a whole", "leave `key` out");
        }
        Ok(read) => read,
        Err(refused) => return refused,
    };
    let (held, reader) = match ask(engine, move |engine| engine.watch_map(&place)).await {
        Ok(found) => found,
        Err(refused) => return refused,
    };
    let (tell, coming) = mpsc::channel(WAITING);
    let watching = Watching { held, per_cpu: wanted.per_cpu, end, tell };
    tokio::task::spawn_blocking(move || watching.run(reader));
    let events = stream::unfold(coming, async |mut coming: mpsc::Receiver<MapTold>| {
        let told = coming.recv().await?;
        // What cannot be written is nothing that a client could read.
        let event = Event::default().json_data(&told).unwrap_or_default();
        Some((Ok::<_, Infallible>(event), coming))
    });
    Sse::new(events).keep_alive(KeepAlive::default()).into_response()
}

/// What watches a map until it is over.
struct Watching {
    held: Held,
    per_cpu: bool,
    end: watch::Receiver<bool>,
    tell: mpsc::Sender<MapTold>,
}

/// Why watching is over.
enum Over {
    /// Nobody hears it any more.
    Gone,
    /// Whoever hears it is told this.
    Because(String),
}

/// What is known of entries: a digest of the values under each key.
type Known = BTreeMap<Vec<u8>, u64>;

impl Over {
    fn unread(error: &std::io::Error) -> Self {
        Self::Because(format!("it cannot be read: {error}"))
    }
}

impl Watching {
    fn run(self, reader: Option<Reader>) {
        let over = if reader.is_some() { self.events() } else { self.changes() };
        drop(reader);
        if let Over::Because(reason) = over {
            drop(self.tell.blocking_send(MapTold::Ended(reason)));
        }
    }

    fn over(&self) -> Option<Over> {
        let ends = (*self.end.borrow()).then(|| Over::Because("the daemon ends".to_owned()));
        ends.or_else(|| self.tell.is_closed().then_some(Over::Gone))
    }

    fn say(&self, told: MapTold) -> Result<(), Over> {
        self.tell.blocking_send(told).map_err(|_unheard| Over::Gone)
    }

    /// Tells events until that is over.
    fn events(&self) -> Over {
        let events = match self.held.open.events() {
            Ok(events) => events,
            Err(error) => return Over::unread(&error),
        };
        let mut unheard = 0;
        loop {
            if let Some(over) = self.over() {
                return over;
            }
            match self.pass_on(&events) {
                Ok(more) => unheard += more,
                Err(error) => return Over::unread(&error),
            }
            if unheard > 0 && self.tell.try_send(MapTold::Lost(unheard)).is_ok() {
                unheard = 0;
            }
        }
    }

    /// Tells what came. Returns how many events are lost: by the kernel, or as whoever reads is too slow.
    fn pass_on(&self, events: &MapEvents) -> std::io::Result<u64> {
        let Heard { events, lost } = events.wait(PATIENCE)?;
        let told = events.iter().map(|event| self.tell.try_send(MapTold::Event(self.event(event))));
        Ok(lost + told.filter(Result::is_err).count() as u64)
    }

    /// An event as JSON; what is too short for one is told as it is.
    fn event(&self, bytes: &[u8]) -> Value {
        let is = self.held.map.event.as_ref();
        let known = is.and_then(|is| serde_json::to_value(is.view_first(bytes, HERE).ok()?).ok());
        known.unwrap_or_else(|| Type::opaque(bytes.len()).decode(bytes, HERE).unwrap_or_default())
    }

    /// Tells what changes until that is over.
    fn changes(&self) -> Over {
        let mut known = Known::new();
        loop {
            match self.compare(&known) {
                Ok(now) => known = now,
                Err(over) => return over,
            }
            if let Some(over) = self.rest() {
                return over;
            }
        }
    }

    /// Waits for the next comparison, unless it is over before.
    fn rest(&self) -> Option<Over> {
        let times = PAUSE.as_millis() / PATIENCE.as_millis();
        (0..times).find_map(|_| {
            std::thread::sleep(PATIENCE);
            self.over()
        })
    }

    /// Tells entries that are not as before, and those that are gone. Returns what is known of all now.
    fn compare(&self, before: &Known) -> Result<Known, Over> {
        let mut now = Known::new();
        for batch in self.held.open.batches() {
            let batch = batch.map_err(|error| Over::unread(&error))?;
            for (key, values) in batch.entries() {
                let values: Vec<&[u8]> = values.iter().collect();
                now.insert(key.to_vec(), self.compare_one(before, key, &values)?);
            }
            if now.len() > MOST_ENTRIES {
                return Err(Over::Because(format!("it has more than {MOST_ENTRIES} entries")));
            }
        }
        for key in before.keys().filter(|key| !now.contains_key(*key)) {
            let is = self.held.map.key.as_ref();
            let key = is.and_then(|is| is.decode(key, HERE).ok()).unwrap_or_default();
            self.say(MapTold::Deleted(key))?;
        }
        Ok(now)
    }

    /// Tells an entry that is not as before. Returns the digest of what it is now.
    fn compare_one(&self, before: &Known, key: &[u8], values: &[&[u8]]) -> Result<u64, Over> {
        let mut hasher = DefaultHasher::new();
        values.hash(&mut hasher);
        let digest = hasher.finish();
        if before.get(key) != Some(&digest) {
            let entry = told(&self.held, key, values, self.per_cpu);
            self.say(MapTold::Set(entry.map_err(|rejected| Over::Because(rejected.problem().to_string()))?))?;
        }
        Ok(digest)
    }
}
