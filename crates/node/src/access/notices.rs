// SPDX-License-Identifier: Apache-2.0
//! What about access somebody should look at: files that cannot be used, and certificates that end soon.
//!
//! Each is logged and told as an event once, and shown by the status as long as its cause is there.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use wire::EventKind;

use crate::events::{Events, Happened};

/// What there is to look at, by what it is about.
#[derive(Debug)]
pub(crate) struct Notices {
    events: Arc<Events>,
    by_subject: Mutex<BTreeMap<String, Vec<String>>>,
}

impl Notices {
    pub(crate) fn new(events: Arc<Events>) -> Self {
        Self { events, by_subject: Mutex::default() }
    }

    /// Puts these in place of what was said of a subject before.
    pub(crate) fn put(&self, subject: &str, now: Timestamp, notices: &[String]) {
        let mut all = self.by_subject.lock().unwrap_or_else(PoisonError::into_inner);
        let before = all.insert(subject.to_owned(), notices.to_vec()).unwrap_or_default();
        for new in notices.iter().filter(|notice| !before.contains(notice)) {
            tracing::warn!("{new}");
            self.events.tell(now, Happened::new(EventKind::Problem, new.clone()));
        }
        for old in before.iter().filter(|notice| !notices.contains(notice)) {
            tracing::info!("no longer: {old}");
            self.events.tell(now, Happened::new(EventKind::Solved, old.clone()));
        }
    }

    /// All of them.
    pub(crate) fn list(&self) -> Vec<String> {
        let all = self.by_subject.lock().unwrap_or_else(PoisonError::into_inner);
        all.values().flatten().cloned().collect()
    }
}
