// SPDX-License-Identifier: Apache-2.0
//! Serving: the socket, the clock of repairs, and the end.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use thiserror::Error;
use tokio::net::UnixListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use crate::{Config, Engine, Fetcher, check, router};

/// The engine, as all tasks share it. It does one thing at a time.
pub(crate) type Shared = Arc<Mutex<Engine>>;

/// The daemon cannot serve.
#[derive(Debug, Error)]
#[error("cannot serve at `{}`", socket.display())]
pub struct Unserved {
    /// The socket.
    pub socket: PathBuf,
    /// Why not.
    #[source]
    pub source: io::Error,
}

/// Serves until it is told to end. Programs run on.
///
/// # Errors
/// When the socket cannot be made.
pub async fn serve(engine: Engine, fetcher: Fetcher, config: &Config) -> Result<(), Unserved> {
    let unserved = |source| Unserved { socket: config.socket.clone(), source };
    let listener = listen(&config.socket).map_err(unserved)?;
    let (end, hangup) =
        (end_of_service().map_err(unserved)?, signal(SignalKind::hangup()).map_err(unserved)?);
    let began = engine.trial_began();
    let (engine, fetcher) = (Arc::new(Mutex::new(engine)), Arc::new(fetcher));
    let looks = tokio::spawn(look_for_news(Arc::clone(&engine), Arc::clone(&fetcher)));
    let checks = tokio::spawn(check::run(Arc::clone(&engine), config.clone(), began.clone()));
    let hangup = (hangup, Arc::clone(&fetcher));
    let repairs = tokio::spawn(repair(Arc::clone(&engine), config.poll_seconds, began, hangup, end.clone()));
    tracing::info!(socket = %config.socket.display(), "serving at `{}`", config.socket.display());
    let served = axum::serve(listener, router(Arc::clone(&engine), fetcher, end.clone()))
        .with_graceful_shutdown(ended(end))
        .await;
    repairs.abort();
    looks.abort();
    checks.abort();
    tracing::info!("ending; the programs in the kernel run on");
    if let Err(panicked) = with(&engine, Engine::end).await {
        tracing::error!("ending the user programs failed inside: {panicked}");
    }
    let removed = fs::remove_file(&config.socket);
    served.and(removed).map_err(unserved)
}

/// Takes the socket over from a daemon that is gone, and never from one that answers.
fn listen(socket: &Path) -> io::Result<UnixListener> {
    if std::os::unix::net::UnixStream::connect(socket).is_ok() {
        return Err(io::Error::new(io::ErrorKind::AddrInUse, "another daemon answers there"));
    }
    if let Some(folder) = socket.parent() {
        fs::create_dir_all(folder)?;
    }
    match fs::remove_file(socket) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Err(_) | Ok(()) => {}
    }
    let listener = UnixListener::bind(socket)?;
    // Whoever may connect may load programs into the kernel.
    fs::set_permissions(socket, fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Compares the kernel with what is wanted, at every tick, and looks at the policy again when it is told to (SIGHUP).
async fn repair(
    engine: Shared,
    seconds: u64,
    mut trial_began: watch::Receiver<u64>,
    (mut hangup, fetcher): (Signal, Arc<Fetcher>),
    mut end: watch::Receiver<bool>,
) {
    let mut ticks = interval(Duration::from_secs(seconds));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut told = None;
    loop {
        let mut is_told = false;
        // A trial that begins from here on is not missed.
        trial_began.mark_unchanged();
        let left = with(&engine, |engine| engine.trial_left()).await.ok().flatten();
        tokio::select! {
            _ = ticks.tick() => {}
            () = tokio::time::sleep(left.unwrap_or_default()), if left.is_some() => {}
            _ = trial_began.changed() => continue,
            _ = hangup.recv() => {
                is_told = true;
                fetcher.look_soon();
            }
            _ = end.changed() => return,
        }
        let ticked = with(&engine, move |engine| {
            if is_told {
                engine.look_again();
            }
            engine.tick()
        });
        match ticked.await {
            Ok(Ok(plan)) if plan.steps.is_empty() => told = None,
            Ok(Ok(plan)) => {
                told = None;
                tracing::warn!(steps = plan.steps.len(), "the kernel had drifted; repaired:\n{plan}");
            }
            Ok(Err(rejected)) => {
                let problem = rejected.problem();
                // Once, and not at every tick.
                if told.as_ref() != Some(&problem) {
                    tracing::error!(problem = %problem.kind, "cannot reach the desired state: {problem}");
                }
                told = Some(problem);
            }
            Err(panicked) => tracing::error!("a repair failed inside: {panicked}"),
        }
    }
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

/// An engine keeps its truth in the kernel and on disk: one whose last call panicked can go on.
fn lock(engine: &Mutex<Engine>) -> MutexGuard<'_, Engine> {
    engine.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Becomes true when the daemon is asked to end.
fn end_of_service() -> io::Result<watch::Receiver<bool>> {
    let (tell, end) = watch::channel(false);
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tell.send_replace(true);
    });
    Ok(end)
}

async fn ended(mut end: watch::Receiver<bool>) {
    // A sender that is gone means the end as well.
    drop(end.wait_for(|ended| *ended).await);
}
