// SPDX-License-Identifier: Apache-2.0
//! `l3af top`: chains and what goes through them in a second, live on a terminal, or one sample of that.

mod draw;
mod view;

use std::io::{self, IsTerminal};
use std::thread;
use std::time::{Duration, Instant};

use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event};
use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use wire::{CallError, ChainRates, ChainView, NodeClient, Profile, Status, rates};

use self::view::{HEAD, View, Wish};
use super::daemon::call;
use crate::arguments::{Daemon, Top};
use crate::failure::{Failure, Outcome};
use crate::output;

/// For how long the key profiles.
const PROFILE_SECONDS: u32 = 10;

/// One sample, as programs get it.
#[derive(Serialize)]
struct Sample {
    seconds: f64,
    status: Status,
    chains: Vec<ChainRates>,
}

pub(crate) fn run(daemon: &Daemon, arguments: &Top) -> Outcome {
    let interval = Duration::from_secs(arguments.interval.into());
    if arguments.once || arguments.json {
        return once(daemon, interval, arguments.json);
    }
    if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
        let hint = "`l3af top --once` prints one sample, `l3af top --json` one for programs";
        return Err(Failure::new("`l3af top` needs a terminal to draw on").with_hint(hint));
    }
    Ok(call(daemon, async |node| {
        // Whoever cannot be reached now is told before anything is drawn.
        node.status().await?;
        Ok(live(&node, interval).await)
    })??)
}

/// Prints one sample, from two readings that are an interval apart.
fn once(daemon: &Daemon, interval: Duration, json: bool) -> Outcome {
    let (seconds, status, chains) = call(daemon, async |node| {
        let (mut looks, status) = (Looks::default(), node.status().await?);
        looks.look(&node).await?;
        tokio::time::sleep(interval).await;
        let chains = looks.look(&node).await?;
        Ok((looks.apart.as_secs_f64(), status, chains))
    })?;
    if json {
        return output::json(&Sample { seconds, status, chains });
    }
    let mut view = View::default();
    view.take(Ok((status, chains)));
    for line in view.header() {
        output::foreign(&line);
    }
    output::data(&output::table(&HEAD, view.rows().into_iter().map(Vec::from).collect()));
    Ok(())
}

/// The reading before, and when it was.
#[derive(Default)]
struct Looks {
    last: Option<(Instant, Vec<ChainView>)>,
    apart: Duration,
}

impl Looks {
    /// Reads the counters, and tells what they did since the reading before.
    async fn look(&mut self, node: &NodeClient) -> Result<Vec<ChainRates>, CallError> {
        let chains = node.chains().await?.chains;
        let now = Instant::now();
        let (then, before) = self.last.take().unwrap_or_else(|| (now, Vec::new()));
        self.apart = now - then;
        let found = rates(&before, &chains, self.apart);
        self.last = Some((now, chains));
        Ok(found)
    }
}

/// The terminal, which is as it was before when this goes out of scope, and when the program panics.
struct Screen(DefaultTerminal);

impl Screen {
    fn open() -> io::Result<Self> {
        // It has a panic give the terminal back first.
        ratatui::try_init().map(Self)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

/// Draws until somebody has seen enough.
async fn live(node: &NodeClient, interval: Duration) -> io::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let mut screen = Screen::open()?;
    let (tell, mut events) = mpsc::channel(16);
    // Waiting for keys cannot be given up, so it has a thread of its own, which ends with the program.
    thread::spawn(move || while event::read().is_ok_and(|event| tell.blocking_send(event).is_ok()) {});
    let (mut view, mut looks) = (View::default(), Looks::default());
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        screen.0.draw(|frame| draw::draw(frame, &mut view))?;
        let event = tokio::select! {
            _ = interrupt.recv() => return Ok(()),
            _ = terminate.recv() => return Ok(()),
            _ = hangup.recv() => return Ok(()),
            _ = ticks.tick() => {
                view.take(look(node, &mut looks).await);
                continue;
            }
            event = events.recv() => event,
        };
        match event {
            Some(Event::Key(key)) => match view.key(key) {
                Wish::Nothing => {}
                Wish::Quit => return Ok(()),
                Wish::Profile => view.notice = Some(profile(node).await),
            },
            // Another size is seen when it is drawn.
            Some(_) => {}
            None => return Ok(()),
        }
    }
}

async fn look(node: &NodeClient, looks: &mut Looks) -> Result<(Status, Vec<ChainRates>), CallError> {
    Ok((node.status().await?, looks.look(node).await?))
}

async fn profile(node: &NodeClient) -> String {
    match node.profile(Profile { seconds: PROFILE_SECONDS }).await {
        Ok(_) => format!("profiling for {PROFILE_SECONDS} s"),
        Err(error) => error.to_string(),
    }
}
