// SPDX-License-Identifier: Apache-2.0
//! Pushes many artifacts while the hub is killed again and again, and looks afterwards for each one that was acknowledged.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::Result;

use super::{Artifact, Hub};

/// How many push at a time.
const CLIENTS: usize = 8;

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    /// How many artifacts were acknowledged; each is there as a whole.
    pub acknowledged: usize,
    /// How often the hub was killed while somebody pushed.
    pub kills: usize,
    /// How many uploads went on after a kill from where they were.
    pub resumed: usize,
}

/// Pushes so many artifacts to a repository, in the middle of which the hub is killed so often; then finds each of them.
///
/// # Errors
/// When something that was acknowledged is not there as a whole, or the hub does not come up again.
pub fn push_through_kills(hub: &mut Hub, repository: &str, artifacts: usize, kills: usize) -> Result<Tally> {
    let next = AtomicUsize::new(0);
    let acknowledged = Mutex::new(Vec::new());
    let pusher = hub.pusher(repository);
    let client = || -> Result<()> {
        let take = || Some(next.fetch_add(1, Ordering::Relaxed)).filter(|number| *number < artifacts);
        while let Some(number) = take() {
            let artifact = Artifact::numbered(number as u64);
            pusher.push_until_acknowledged(&artifact)?;
            acknowledged.lock().expect("no client panics").push(artifact);
        }
        Ok(())
    };
    thread::scope(|scope| -> Result<()> {
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(client)).collect();
        for kill in 1..=kills {
            // At a part of the work, which takes as long as it takes.
            while next.load(Ordering::Relaxed) < artifacts * kill / (kills + 1) {
                thread::sleep(Duration::from_millis(1));
            }
            hub.kill()?;
            hub.restart()?;
        }
        clients.into_iter().try_for_each(|client| client.join().expect("no client panics"))
    })?;
    let acknowledged = acknowledged.into_inner().expect("no client panics");
    for artifact in &acknowledged {
        pusher.find(artifact)?;
    }
    Ok(Tally { acknowledged: acknowledged.len(), kills, resumed: pusher.resumed() })
}
