// SPDX-License-Identifier: Apache-2.0
//! Health checks: carried out again and again while a generation is on trial.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinSet;
use wire::{Check, DropsDocument};

use crate::Config;
use crate::server::{Shared, with};

/// How long the trial of a generation with checks is, where nobody said so.
pub(crate) const TRIAL_SECONDS: u32 = 10;
/// How often each check is carried out.
const PAUSE: Duration = Duration::from_secs(1);
/// How long one may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often in a row it may fail before that counts: links that a change took down come up again.
const FAILURES: u32 = 3;

/// The checks of the generation on trial, by name.
#[derive(Debug, Clone)]
pub(crate) struct Checks {
    pub(crate) generation: u64,
    pub(crate) checks: BTreeMap<String, Check>,
}

/// Packets that reached a member, and those that it dropped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Dropped {
    pub(crate) seen: u64,
    pub(crate) dropped: u64,
}

/// Carries out the checks of each generation that is on trial, until its trial is over.
pub(crate) async fn run(engine: Shared, config: Config, mut began: watch::Receiver<u64>) {
    let config = Arc::new(config);
    loop {
        // A trial that begins from here on is not missed.
        began.mark_unchanged();
        if let Some(checks) = of_trial(&engine).await {
            judge(&engine, &config, &checks).await;
        }
        if began.changed().await.is_err() {
            return;
        }
    }
}

async fn of_trial(engine: &Shared) -> Option<Checks> {
    with(engine, |engine| engine.checks()).await.unwrap_or_else(|panicked| {
        tracing::error!("to look for checks failed inside: {panicked}");
        None
    })
}

/// Has the engine know how the checks of one generation end, round by round, until its trial is over.
async fn judge(engine: &Shared, config: &Arc<Config>, checks: &Checks) {
    let mut record = Record::default();
    while of_trial(engine).await.is_some_and(|now| now.generation == checks.generation) {
        let outcomes = carry_out_all(engine, config, &checks.checks, &mut record).await;
        let all_pass = outcomes.len() == checks.checks.len() && outcomes.values().all(Result::is_ok);
        let failed = outcomes.into_iter().filter_map(|(name, outcome)| record.note(&name, outcome)).last();
        let generation = checks.generation;
        match with(engine, move |engine| engine.checked(generation, all_pass, failed)).await {
            Ok(Ok(())) => {}
            Ok(Err(rejected)) => {
                tracing::error!("cannot return to the generation before: {}", rejected.problem());
            }
            Err(panicked) => tracing::error!("to end a trial failed inside: {panicked}"),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// What one trial was like so far.
#[derive(Default)]
struct Record {
    /// How often in a row each check failed.
    failures: BTreeMap<String, u32>,
    /// What members had seen and dropped when the trial began.
    before: BTreeMap<String, Dropped>,
}

impl Record {
    /// Notes how a check ended. Returns why the generation is to be given up when it failed too often.
    fn note(&mut self, name: &str, outcome: Result<(), String>) -> Option<String> {
        let Err(why) = outcome else {
            self.failures.remove(name);
            return None;
        };
        let times = self.failures.entry(name.to_owned()).or_default();
        *times += 1;
        tracing::warn!(check = name, times = *times, "a check fails: {why}");
        (*times >= FAILURES).then(|| format!("the check `{name}` failed: {why}"))
    }
}

/// One round: all that wait for others at the same time.
async fn carry_out_all(
    engine: &Shared,
    config: &Arc<Config>,
    checks: &BTreeMap<String, Check>,
    record: &mut Record,
) -> BTreeMap<String, Result<(), String>> {
    let mut round = JoinSet::new();
    let mut outcomes = BTreeMap::new();
    for (name, check) in checks {
        if let Check::Drops(bound) = check {
            let outcome = dropped(engine, bound).await.and_then(|now| {
                let first = *record.before.entry(name.clone()).or_insert(now);
                is_within(bound, first, now)
            });
            outcomes.insert(name.clone(), outcome);
        } else {
            let (name, check, config) = (name.clone(), check.clone(), Arc::clone(config));
            round.spawn(async move { (name, carry_out(check, &config).await) });
        }
    }
    while let Some(ended) = round.join_next().await {
        match ended {
            Ok((name, outcome)) => drop(outcomes.insert(name, outcome)),
            Err(panicked) => tracing::error!("a check failed inside: {panicked}"),
        }
    }
    outcomes
}

async fn dropped(engine: &Shared, bound: &DropsDocument) -> Result<Dropped, String> {
    let bound = bound.clone();
    match with(engine, move |engine| engine.dropped(&bound)).await {
        Ok(dropped) => dropped.map_err(|rejected| rejected.problem().to_string()),
        Err(panicked) => Err(panicked.to_string()),
    }
}

async fn carry_out(check: Check, config: &Config) -> Result<(), String> {
    match check {
        Check::Tcp(place) => {
            match tokio::time::timeout(PATIENCE, tokio::net::TcpStream::connect(&place)).await {
                Ok(Ok(_)) => Ok(()),
                Ok(Err(error)) => Err(format!("`{place}`: {error}")),
                Err(_elapsed) => Err(format!("`{place}` does not answer")),
            }
        }
        Check::Http(url) => wire::answers(&url, PATIENCE).await,
        Check::Ping(address) => blocking(move || answers_ping(address)).await,
        Check::Command(name) => {
            let command = config.commands.get(&name).cloned().unwrap_or_default();
            blocking(move || ends_well(&name, &command)).await
        }
        // The engine was asked.
        Check::Drops(_) => Ok(()),
    }
}

fn answers_ping(address: IpAddr) -> Result<(), String> {
    match ping::ping(address, PATIENCE) {
        Ok(_) => Ok(()),
        Err(ping::Error::Timeout) => Err(format!("`{address}`: no answer within {} s", PATIENCE.as_secs())),
        Err(error) => Err(format!("`{address}`: {error}")),
    }
}

async fn blocking(work: impl FnOnce() -> Result<(), String> + Send + 'static) -> Result<(), String> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|panicked| Err(panicked.to_string()))
}

fn is_within(bound: &DropsDocument, first: Dropped, now: Dropped) -> Result<(), String> {
    let seen = u128::from(now.seen.saturating_sub(first.seen));
    let dropped = u128::from(now.dropped.saturating_sub(first.dropped));
    if dropped * 100 <= seen * u128::from(bound.at_most_percent) {
        return Ok(());
    }
    let DropsDocument { member, at_most_percent, .. } = bound;
    Err(format!("`{member}` dropped {dropped} of {seen} packets, and may drop {at_most_percent} %"))
}

/// Runs a command, and ends it when it takes too long.
fn ends_well(name: &str, command: &[String]) -> Result<(), String> {
    let (program, arguments) =
        command.split_first().ok_or_else(|| format!("there is no command `{name}`"))?;
    let quiet = || Stdio::null();
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(quiet())
        .stdout(quiet())
        .stderr(quiet())
        .spawn()
        .map_err(|error| format!("`{program}` cannot be started: {error}"))?;
    let begin = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => return Err(format!("`{program}` ended with {status}")),
            Err(error) => return Err(error.to_string()),
            Ok(None) if begin.elapsed() > PATIENCE => {
                drop(child.kill().and_then(|()| child.wait()));
                return Err(format!("`{program}` takes longer than {} s", PATIENCE.as_secs()));
            }
            Ok(None) => thread::sleep(Duration::from_millis(20)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_of_what_came_since() {
        let bound = DropsDocument { member: "a".parse().unwrap(), on: None, at_most_percent: 10 };
        let of = |seen, dropped| Dropped { seen, dropped };
        assert!(is_within(&bound, of(0, 0), of(0, 0)).is_ok(), "nothing came");
        assert!(is_within(&bound, of(1000, 1000), of(1100, 1010)).is_ok());
        let refused = is_within(&bound, of(1000, 1000), of(1100, 1011)).unwrap_err();
        assert_eq!(refused, "`a` dropped 11 of 100 packets, and may drop 10 %");
    }

    #[test]
    fn a_check_may_fail_twice_in_a_row() {
        let mut record = Record::default();
        let failed = || Err("nobody answers".to_owned());
        for _ in 0..3 {
            assert_eq!((record.note("c", failed()), record.note("c", failed())), (None, None));
            assert_eq!((record.note("c", Ok(())), record.note("other", failed())), (None, None));
            record.note("other", Ok(()));
        }
        record.note("c", failed());
        record.note("c", failed());
        assert_eq!(record.note("c", failed()).unwrap(), "the check `c` failed: nobody answers");
    }

    #[test]
    fn a_command_ends_well_or_in_time() {
        let run =
            |words: &[&str]| ends_well("c", &words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
        assert!(run(&["true"]).is_ok());
        assert_eq!(run(&["false"]).unwrap_err(), "`false` ended with exit status: 1");
        assert_eq!(run(&["sleep", "60"]).unwrap_err(), "`sleep` takes longer than 2 s");
        assert_eq!(run(&[]).unwrap_err(), "there is no command `c`");
        assert!(run(&["/no/such/program"]).unwrap_err().contains("cannot be started"));
    }
}
