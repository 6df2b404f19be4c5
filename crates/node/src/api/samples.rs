// SPDX-License-Identifier: Apache-2.0
//! Packets where they leave chains, as server-sent events. Whoever does not read them in time misses some, and is told how many.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use jiff::Timestamp;
use rustix::time::{ClockId, clock_gettime};
use tokio::sync::mpsc;
use tokio::sync::watch;
use wire::{Problem, SampleWish, Sampled};

use super::{Served, ask, refuse};
use crate::engine::Listening;
use crate::server::{Shared, with};

/// How many packets wait for whoever reads them.
const WAITING: usize = 4096;
/// How long whoever does not read has for the end.
const FAREWELL: Duration = Duration::from_secs(5);
/// How long to wait for packets until it is looked whether all should end.
const PATIENCE: Duration = Duration::from_millis(100);

/// Lets packets tell of themselves where they leave a chain; members that do so are swapped in for that
#[utoipa::path(
    post, path = "/v1/samples", request_body = SampleWish,
    responses(
        (status = 200, content((Sampled = "text/event-stream")), description = "the data of each event is one of these"),
        (status = 404, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem), (status = "default", body = Problem)
    )
)]
pub(super) async fn samples(
    State(Served { engine, end, .. }): State<Served>,
    wish: Result<axum::Json<SampleWish>, JsonRejection>,
) -> Response {
    let wish = match wish {
        Ok(axum::Json(wish)) => wish,
        Err(rejection) => {
            let hint = "for example `{\"interface\": \"eth0\", \"filter\": \"tcp *:443\", \"seconds\": 10}`";
            return refuse(rejection.status().as_u16(), "sample", &rejection.body_text(), hint);
        }
    };
    let seconds = Duration::from_secs(wish.seconds.into());
    let filter = wish.filter;
    let (listening, in_force) = match begin(&engine, wish).await {
        Ok(begun) => begun,
        Err(refused) => return refused,
    };
    let (tell, told) = mpsc::channel(WAITING);
    let work = Work { listening, filter, in_force, end, until: Instant::now() + seconds, tell };
    tokio::task::spawn_blocking(move || work.run(&engine));
    let events = stream::unfold(told, async |mut told| {
        let sampled: Sampled = told.recv().await?;
        // What cannot be written is nothing that a client could read.
        let event = Event::default().json_data(&sampled).unwrap_or_default();
        Some((Ok::<_, Infallible>(event), told))
    });
    Sse::new(events).keep_alive(KeepAlive::default()).into_response()
}

type Begun = (Vec<Listening>, watch::Receiver<u64>);

/// Begins to listen. One who just left is gone soon.
async fn begin(engine: &Shared, wish: SampleWish) -> Result<Begun, Response> {
    const TRIES: u32 = 10;
    for _ in 0..TRIES {
        let asked = wish.clone();
        if !ask(Arc::clone(engine), move |engine| Ok(engine.is_sampled(&asked))).await? {
            break;
        }
        tokio::time::sleep(PATIENCE).await;
    }
    ask(Arc::clone(engine), move |engine| Ok((engine.sample(&wish)?, engine.generations_in_force()))).await
}

/// What reads the buffers until it is over.
struct Work {
    listening: Vec<Listening>,
    filter: package::FlowFilter,
    in_force: watch::Receiver<u64>,
    end: watch::Receiver<bool>,
    until: Instant,
    tell: mpsc::Sender<Sampled>,
}

impl Work {
    fn run(mut self, engine: &Shared) {
        let hooks: Vec<plan::Hook> = self.listening.iter().map(|listening| listening.hook.clone()).collect();
        let begun = Sampled::Begun { hooks: hooks.iter().map(ToString::to_string).collect() };
        drop(self.tell.try_send(begun));
        let reason = self.read();
        let Self { listening, tell, .. } = self;
        // From here on the sampler is out of the way.
        drop(listening);
        let runtime = tokio::runtime::Handle::current();
        let ended = runtime.block_on(with(engine, move |engine| engine.end_sampling(&hooks)));
        match ended {
            Ok(Ok(())) => {}
            Ok(Err(rejected)) => {
                let problem = rejected.problem();
                tracing::warn!(problem = %problem.kind, "members still note their verdicts: {problem}");
            }
            // The daemon ends, and the next one makes the chains as they are wanted.
            Err(ended) if ended.is_cancelled() => {}
            Err(panicked) => tracing::error!("ending to sample failed inside: {panicked}"),
        }
        // Whoever has much to read still gets to know why it is over.
        let told = tokio::time::timeout(FAREWELL, tell.send(Sampled::Ended { reason }));
        drop(runtime.block_on(told));
    }

    /// Tells of packets, and why it ended.
    fn read(&mut self) -> String {
        let begin = now();
        let patience = PATIENCE / u32::try_from(self.listening.len()).unwrap_or(1).max(1);
        let (mut unread, mut reported) = (0, 0);
        self.in_force.mark_unchanged();
        loop {
            let ended = self.over();
            match self.take(patience, &begin) {
                Ok(more) => unread += more,
                Err(error) => return format!("the kernel cannot be read: {error}"),
            }
            let missed =
                self.listening.iter().map(|listening| listening.samples.missed().unwrap_or_default());
            let missed = missed.sum::<u64>() + unread;
            if missed > reported && self.tell.try_send(Sampled::Missed { packets: missed - reported }).is_ok()
            {
                reported = missed;
            }
            if let Some(reason) = ended {
                return reason.to_owned();
            }
        }
    }

    /// Tells of what came. Returns how much of that nobody had room for.
    fn take(&mut self, patience: Duration, begin: &Moment) -> io::Result<u64> {
        let mut unread = 0;
        for listening in &mut self.listening {
            let mut samples = listening.samples.wait(patience)?;
            samples.sort_by_key(|sample| sample.at_ns);
            let views = samples.iter().filter_map(|sample| listening.view(sample, begin.at(sample.at_ns)));
            let asked = views.filter(|view| self.filter.takes(view.flow.as_ref()));
            let told = asked.map(|view| self.tell.try_send(Sampled::Packet(Box::new(view))));
            unread += told.filter(Result::is_err).map(|_| 1).sum::<u64>();
        }
        Ok(unread)
    }

    /// Why it is over, if it is.
    fn over(&self) -> Option<&'static str> {
        if Instant::now() >= self.until {
            Some("the time is over")
        } else if self.tell.is_closed() {
            Some("nobody listens")
        } else if *self.end.borrow() {
            Some("the daemon ends")
        } else if self.in_force.has_changed().unwrap_or(true) {
            Some("another generation is in force")
        } else {
            None
        }
    }
}

/// A moment on both clocks.
struct Moment {
    at: Timestamp,
    monotonic_ns: i128,
}

fn now() -> Moment {
    let clock = clock_gettime(ClockId::Monotonic);
    let monotonic_ns = i128::from(clock.tv_sec) * 1_000_000_000 + i128::from(clock.tv_nsec);
    Moment { at: Timestamp::now(), monotonic_ns }
}

impl Moment {
    /// The time of another moment, which the clock of the kernel tells.
    fn at(&self, monotonic_ns: u64) -> Timestamp {
        let nanoseconds = self.at.as_nanosecond() + i128::from(monotonic_ns) - self.monotonic_ns;
        Timestamp::from_nanosecond(nanoseconds).unwrap_or(self.at)
    }
}
