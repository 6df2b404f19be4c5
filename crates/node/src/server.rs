// SPDX-License-Identifier: Apache-2.0
//! Serving: the socket, the clock of repairs, and the end.

use std::fs;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use thiserror::Error;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use wire::Document;

use crate::access::Access;
use crate::document_file::DocumentFile;
use crate::l3afd::{Old, Sockets, Successor};
use crate::listen::{self, Served};
use crate::repairs::Repairs;
use crate::service::Inherited;
use crate::{Config, Engine, Fetched, Fetcher, Rejected, check, otlp, router, service};

/// The engine, as all tasks share it. It does one thing at a time.
pub(crate) type Shared = Arc<Mutex<Engine>>;

/// The daemon cannot serve.
#[derive(Debug, Error)]
#[error("cannot serve at `{place}`")]
pub struct Unserved {
    /// The socket, or the address.
    pub place: String,
    /// Why not.
    #[source]
    pub source: io::Error,
}

/// Serves until it is told to end. Programs run on.
///
/// # Errors
/// When the socket cannot be made.
pub async fn serve(
    engine: Engine,
    fetcher: Fetcher,
    access: Access,
    config: &Config,
) -> Result<(), Unserved> {
    let unserved = |source| Unserved { place: config.socket.display().to_string(), source };
    let mut sockets = Inherited::from_environment();
    let inherited = sockets.local().map_err(unserved)?;
    let is_inherited = inherited.is_some();
    let make = || listen::bind(&config.socket, config.socket_group.as_deref());
    let listener = inherited.map_or_else(make, listen::adopt).map_err(unserved)?;
    let access = Arc::new(access);
    let (tell_end, end) = end_of_service().map_err(unserved)?;
    let sockets = Sockets::bind(&access, config, sockets, listener)?;
    let hears_hangup = || signal(SignalKind::hangup()).map_err(unserved);
    let (hangup, rereads) = (hears_hangup()?, hears_hangup()?);
    let (in_force, events) = (engine.generations_in_force(), engine.events());
    let desired = engine.desired().unwrap_or_default();
    let (engine, fetcher) = (Arc::new(Mutex::new(engine)), Arc::new(fetcher));
    let looks = tokio::spawn(look_for_news(Arc::clone(&engine), Arc::clone(&fetcher)));
    let file = config.document.clone().map(|path| {
        let file = DocumentFile {
            path,
            state: config.state.clone(),
            engine: Arc::clone(&engine),
            fetcher: Arc::clone(&fetcher),
            access: Arc::clone(&access),
        };
        tokio::spawn(file.follow())
    });
    let checks = tokio::spawn(check::run(Arc::clone(&engine), config.clone(), in_force.clone()));
    let repairs = Repairs {
        engine: Arc::clone(&engine),
        seconds: config.poll_seconds,
        in_force,
        hangup,
        fetcher: Arc::clone(&fetcher),
        end: end.clone(),
    };
    let repairs = tokio::spawn(repairs.run());
    let otlp = config.otlp.clone().zip(config.collector().ok().flatten());
    let otlp = otlp.map(|(otlp, collector)| tokio::spawn(otlp::run(Arc::clone(&engine), otlp, collector)));
    let alive = tokio::spawn(service::stay_alive(Arc::clone(&engine)));
    tracing::info!(socket = %config.socket.display(), "serving at `{}`", config.socket.display());
    service::is_ready(desired.number);
    let files = tokio::spawn(Arc::clone(&access).follow(config.poll_seconds, rereads));
    let router = router(Arc::clone(&engine), Arc::clone(&fetcher), events, Arc::clone(&access), end.clone());
    let served = Served { router, access, end };
    let mut serving = JoinSet::new();
    let old = Successor::new(&config.state, sockets.handed_over()?, tell_end);
    let old = config.l3afd.as_ref().map(|l3afd| Old::new(l3afd, (&engine, &fetcher), &served, old));
    let successor = old.as_ref().map(|old| Arc::clone(&old.successor));
    let old_works = old.as_ref().map(|old| old.begin(&desired.document)).unwrap_or_default();
    sockets.serve(served, old.as_ref(), &mut serving);
    serving.join_all().await;
    service::is_ending();
    let works = [repairs, looks, checks, alive, files].into_iter().chain(file).chain(otlp).chain(old_works);
    works.for_each(|work| work.abort());
    tracing::info!("ending; the programs in the kernel run on");
    if let Err(panicked) = with(&engine, Engine::end).await {
        tracing::error!("ending the user programs failed inside: {panicked}");
    }
    if is_inherited || successor.is_some_and(|successor| successor.is_coming()) {
        return Ok(());
    }
    fs::remove_file(&config.socket).map_err(unserved)
}

/// Asks the repositories of what runs for statements and roots that came since: at the start, hourly, and when told to. One
/// that gave no answer is asked again sooner.
async fn look_for_news(engine: Shared, fetcher: Arc<Fetcher>) {
    const PAUSE: Duration = Duration::from_hours(1);
    const PAUSE_AFTER_SILENCE: Duration = Duration::from_mins(5);
    let runtime = tokio::runtime::Handle::current();
    loop {
        let (engine, asked, runtime) = (Arc::clone(&engine), Arc::clone(&fetcher), runtime.clone());
        // Keeping what comes waits for disks.
        let looked = tokio::task::spawn_blocking(move || {
            let in_force = lock(&engine).fetched_in_force()?;
            if in_force.is_empty() {
                return Ok(());
            }
            let (found, outcome) = runtime.block_on(asked.look(&in_force));
            lock(&engine).learn(found, outcome.is_ok()).and(outcome)
        });
        let pause = match looked.await {
            Ok(Ok(())) => PAUSE,
            Ok(Err(rejected)) => {
                let problem = rejected.problem();
                tracing::warn!(problem = %problem.kind, "cannot look for what is revoked: {problem}");
                PAUSE_AFTER_SILENCE
            }
            Err(panicked) => {
                tracing::error!("looking for what is revoked failed inside: {panicked}");
                PAUSE_AFTER_SILENCE
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = fetcher.told_to_look() => {}
        }
    }
}

/// Calls the engine on a thread that may wait for the kernel and for disks.
pub(crate) fn with<T: Send + 'static>(
    engine: &Shared,
    call: impl FnOnce(&mut Engine) -> T + Send + 'static,
) -> JoinHandle<T> {
    let engine = Arc::clone(engine);
    tokio::task::spawn_blocking(move || call(&mut lock(&engine)))
}

/// Fetches what a document names in registries, on a thread that may wait for disks. The engine is free for others meanwhile.
pub(crate) fn fetch(
    engine: &Shared,
    fetcher: &Arc<Fetcher>,
    document: &Document,
) -> JoinHandle<Result<Fetched, Rejected>> {
    let (engine, fetcher, document) = (Arc::clone(engine), Arc::clone(fetcher), document.clone());
    let runtime = tokio::runtime::Handle::current();
    tokio::task::spawn_blocking(move || {
        let in_force = lock(&engine).fetched_in_force()?;
        let room = |bytes| lock(&engine).make_room(bytes);
        runtime.block_on(fetcher.fetch(&document, &in_force, &room))
    })
}

/// An engine keeps its truth in the kernel and on disk: one whose last call panicked can go on.
fn lock(engine: &Mutex<Engine>) -> MutexGuard<'_, Engine> {
    engine.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Becomes true when the daemon is asked to end, by a signal or by whoever holds the other half.
fn end_of_service() -> io::Result<(watch::Sender<bool>, watch::Receiver<bool>)> {
    let (tell, end) = watch::channel(false);
    let by_hand = tell.clone();
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tell.send_replace(true);
    });
    Ok((by_hand, end))
}
