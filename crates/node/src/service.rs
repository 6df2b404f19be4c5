// SPDX-License-Identifier: Apache-2.0
//! The manager of services, where there is one: it is told how the daemon is (`sd_notify(3)`), and may hand over the socket of the
//! API (`sd_listen_fds(3)`), which then stays while the daemon is exchanged for another.

use std::io;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::time::Duration;

use listenfd::ListenFd;
use sd_notify::NotifyState;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use crate::server::{Shared, with};

/// The sockets that the manager holds, or that a process left which this one takes over from: first that of this machine, then those
/// of l3afd v1.
pub(crate) struct Inherited(ListenFd);

impl Inherited {
    pub(crate) fn from_environment() -> Self {
        Self(ListenFd::from_env())
    }

    /// The socket of this machine, if there is one.
    pub(crate) fn local(&mut self) -> io::Result<Option<UnixListener>> {
        self.0.take_unix_listener(0)
    }

    /// One of the others, by its place among all.
    pub(crate) fn tcp(&mut self, place: usize) -> io::Result<Option<TcpListener>> {
        if place < self.0.len() { self.0.take_tcp_listener(place) } else { Ok(None) }
    }
}

/// Tells that the daemon answers.
pub(crate) fn is_ready(generation: u64) {
    tell(&[NotifyState::Ready, NotifyState::Status(&format!("generation {generation} is in force"))]);
}

/// Tells that the daemon ends.
pub(crate) fn is_ending() {
    tell(&[NotifyState::Stopping]);
}

/// Tells again and again that the daemon is alive, which it is while the engine answers: a manager that hears nothing for too long
/// starts another (`WatchdogSec`).
pub(crate) async fn stay_alive(engine: Shared) {
    let Some(longest) = sd_notify::watchdog_enabled() else { return };
    // Twice in the time, as `sd_watchdog_enabled(3)` recommends.
    let pause = (longest / 2).max(Duration::from_millis(10));
    loop {
        // A manager that does not read holds up this, and nothing else.
        let told = with(&engine, |_| ()).await.map(|()| spawn_blocking(|| tell(&[NotifyState::Watchdog])));
        match told {
            Ok(told) => drop(told.await),
            Err(panicked) => tracing::error!("the engine failed inside: {panicked}"),
        }
        sleep(pause).await;
    }
}

/// A manager that cannot be told does not keep the daemon from its work.
fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!("the manager of services cannot be told how the daemon is: {error}");
    }
}
