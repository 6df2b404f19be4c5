// SPDX-License-Identifier: Apache-2.0
//! When the kernel is compared with what is wanted: at once when something is heard, when a trial is over, when somebody asks
//! for it (SIGHUP), and regularly.

use std::collections::BTreeSet;
use std::future::pending;
use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use kernel::{Stir, Watch};
use package::NetworkNamespace;
use tokio::signal::unix::Signal;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until};

use crate::Fetcher;
use crate::engine::Drift;
use crate::server::{Shared, with};

/// The shortest rest between two comparisons because of something that was heard.
const REST: Duration = Duration::from_millis(10);
/// How many times as long as a comparison took it rests at least, so that a noisy machine does not keep the daemon busy.
const RESTS_FOR: u32 = 4;
/// How much of what was heard is kept for one comparison: the latest.
const HEARD: usize = 64;

/// What the comparisons need.
pub(crate) struct Repairs {
    pub(crate) engine: Shared,
    /// Between two regular comparisons.
    pub(crate) seconds: u64,
    /// Is told when another generation is in force.
    pub(crate) in_force: watch::Receiver<u64>,
    pub(crate) hangup: Signal,
    pub(crate) fetcher: Arc<Fetcher>,
    pub(crate) end: watch::Receiver<bool>,
}

impl Repairs {
    /// Compares and repairs until the daemon ends.
    pub(crate) async fn run(mut self) {
        let mut ears = Ears::open();
        let mut ticks = interval(Duration::from_secs(self.seconds));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut heard = Vec::new();
        let mut rests_until = Instant::now();
        loop {
            let mut is_told = false;
            // A generation that comes into force from here on is not missed.
            self.in_force.mark_unchanged();
            let asked = with(&self.engine, |engine| (engine.trial_left(), engine.namespaces())).await;
            let (left, namespaces) = asked.unwrap_or_default();
            ears.follow(&namespaces);
            tokio::select! {
                _ = ticks.tick() => {}
                () = sleep(left.unwrap_or_default()), if left.is_some() => {}
                () = sleep_until(rests_until), if !heard.is_empty() => {}
                stirs = ears.hear() => {
                    keep(&mut heard, stirs);
                    continue;
                }
                _ = self.in_force.changed() => continue,
                _ = self.hangup.recv() => {
                    is_told = true;
                    self.fetcher.look_soon();
                }
                _ = self.end.changed() => return,
            }
            let begin = Instant::now();
            let drift = self.compare(is_told).await;
            rests_until = Instant::now() + (begin.elapsed() * RESTS_FOR).max(REST);
            let mut stirs = std::mem::take(&mut heard);
            if !drift.is_empty() {
                stirs.extend(ears.callers());
                drop(with(&self.engine, move |engine| engine.note_drift(&drift, &stirs)).await);
            }
        }
    }

    /// Returns what others had changed. What cannot be repaired is told by the engine.
    async fn compare(&self, is_told: bool) -> Drift {
        let compared = with(&self.engine, move |engine| {
            if is_told {
                engine.look_again();
            }
            engine.tick().unwrap_or_default()
        });
        compared.await.unwrap_or_else(|panicked| {
            tracing::error!("a repair failed inside: {panicked}");
            Drift::default()
        })
    }
}

/// Keeps what was heard, each once.
fn keep(heard: &mut Vec<Stir>, stirs: Vec<Stir>) {
    for stir in stirs {
        heard.retain(|kept| *kept != stir);
        heard.push(stir);
    }
    heard.drain(..heard.len().saturating_sub(HEARD));
}

/// What hears of changes; nothing does where the kernel lets nobody listen.
struct Ears {
    watch: Option<Arc<Watch>>,
    /// Is told by a thread of its own that something was heard; what it was stays in the watch until it is taken.
    stirred: mpsc::Receiver<()>,
}

impl Ears {
    fn open() -> Self {
        let (tell, stirred) = mpsc::channel(1);
        let watch = match Watch::open() {
            Ok((watch, deaf)) => {
                if let Some(error) = deaf {
                    tracing::warn!(
                        "calls of bpf(2) by others are not heard, but found at the next comparison: {error}"
                    );
                }
                Some(Arc::new(watch))
            }
            Err(error) => {
                tracing::warn!("changes by others are not heard, but found at the next comparison: {error}");
                None
            }
        };
        if let Some(watch) = watch.clone() {
            thread::spawn(move || listen(&watch, &tell));
        }
        Self { watch, stirred }
    }

    fn follow(&self, namespaces: &BTreeSet<NetworkNamespace>) {
        if let Some(watch) = &self.watch {
            watch.follow(namespaces);
        }
    }

    /// Who made, or is making, a change that was found.
    fn callers(&mut self) -> Vec<Stir> {
        self.ask(Watch::take_with_callers)
    }

    /// Waits until something is heard. Nothing may come of it: it may have been taken already.
    async fn hear(&mut self) -> Vec<Stir> {
        match self.stirred.recv().await {
            Some(()) => self.ask(Watch::take),
            None => pending().await,
        }
    }

    fn ask(&mut self, what: impl FnOnce(&Watch) -> io::Result<Vec<Stir>>) -> Vec<Stir> {
        let Some(watch) = &self.watch else { return Vec::new() };
        what(watch).unwrap_or_else(|error| {
            tracing::warn!(
                "changes by others are no longer heard, but found at the next comparison: {error}"
            );
            self.watch = None;
            // The thread that listens ends as it tells next.
            self.stirred.close();
            Vec::new()
        })
    }
}

/// Tells each time that something was heard, until nothing is any more, or nobody asks.
fn listen(watch: &Watch, tell: &mpsc::Sender<()>) {
    while watch.wait().is_ok() {
        if tell.blocking_send(()).is_err() {
            return;
        }
    }
}
