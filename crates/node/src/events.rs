// SPDX-License-Identifier: Apache-2.0
//! What happened on the node: the last of it is kept in memory, and whoever listens is told at once.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio::sync::watch;
use wire::{Event, EventKind};

/// How many are kept.
const KEPT: usize = 1000;

/// The events of one run of the daemon.
#[derive(Debug, Default)]
pub struct Events {
    kept: Mutex<VecDeque<Event>>,
    /// The number of the last one.
    last: watch::Sender<u64>,
}

/// What an event is about.
#[derive(Debug)]
pub(crate) struct Happened {
    pub(crate) kind: EventKind,
    pub(crate) text: String,
    pub(crate) steps: Vec<String>,
    pub(crate) by: Vec<String>,
}

impl Happened {
    pub(crate) fn new(kind: EventKind, text: String) -> Self {
        Self { kind, text, steps: Vec::new(), by: Vec::new() }
    }
}

impl Events {
    /// Keeps what happened, and tells whoever listens.
    pub(crate) fn tell(&self, now: Timestamp, happened: Happened) {
        let Happened { kind, text, steps, by } = happened;
        let mut kept = self.kept();
        // By the clock, so that a later run goes on behind this one.
        let clock = u64::try_from(now.as_microsecond()).unwrap_or_default();
        let number = kept.back().map_or(clock, |last| clock.max(last.number + 1));
        if kept.len() == KEPT {
            kept.pop_front();
        }
        kept.push_back(Event { number, at: now.to_string(), kind, text, steps, by });
        self.last.send_replace(number);
    }

    /// Those that are kept of those behind a number, the latest last.
    pub(crate) fn after(&self, number: u64) -> Vec<Event> {
        self.kept().iter().filter(|event| event.number > number).cloned().collect()
    }

    /// The last of a kind that is kept.
    pub(crate) fn last(&self, kind: EventKind) -> Option<Event> {
        self.kept().iter().rev().find(|event| event.kind == kind).cloned()
    }

    /// Is told of each that comes.
    pub(crate) fn listen(&self) -> watch::Receiver<u64> {
        self.last.subscribe()
    }

    fn kept(&self) -> MutexGuard<'_, VecDeque<Event>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_rise_whatever_the_clock_does_and_the_oldest_go() {
        let events = Events::default();
        let tell = |second: i64| {
            let happened = Happened::new(EventKind::Drift, second.to_string());
            events.tell(Timestamp::from_second(second).unwrap(), happened);
        };
        [10, 5, 5, 20].into_iter().for_each(tell);
        let numbers = |after| events.after(after).iter().map(|event| event.number).collect::<Vec<_>>();
        assert_eq!(numbers(0), [10_000_000, 10_000_001, 10_000_002, 20_000_000]);
        assert_eq!(numbers(10_000_001), [10_000_002, 20_000_000]);
        (21..).take(KEPT).for_each(tell);
        assert_eq!((events.after(0).len(), events.after(0)[0].text.as_str()), (KEPT, "21"));
        assert_eq!(*events.listen().borrow(), events.last(EventKind::Drift).unwrap().number);
    }
}
