// SPDX-License-Identifier: Apache-2.0
//! Files of access are read again when they have other content, and at SIGHUP. What cannot be used is told, and what was in force
//! stays.

use std::error::Error;
use std::fs;
use std::io;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use package::Digest;
use tokio::signal::unix::Signal;
use tokio::time::sleep;

use super::rules::Rules;
use super::tls::{self, End, Tls};
use super::{Access, Remote};
use crate::config::AccessConfig;

/// A digest of all policies.
pub(super) fn digest_of_policies(config: &AccessConfig) -> io::Result<Digest> {
    let digests: io::Result<String> =
        config.policies.iter().map(|path| Ok(Digest::of(&fs::read(path)?).to_string())).collect();
    Ok(Digest::of(digests?.as_bytes()))
}

impl Access {
    /// Looks at the files again and again.
    pub(crate) async fn follow(self: Arc<Self>, seconds: u64, mut hangup: Signal) {
        loop {
            let looking = Arc::clone(&self);
            if let Err(panicked) = tokio::task::spawn_blocking(move || looking.look()).await {
                tracing::error!("looking at the files of access failed inside: {panicked}");
            }
            tokio::select! {
                () = sleep(Duration::from_secs(seconds)) => {}
                _ = hangup.recv() => {
                    if let Err(error) = self.audit.reopen() {
                        tracing::error!("{}", whole(&error));
                    }
                }
            }
        }
    }

    /// Reads what has other content than when it was read last, and looks for certificates that end soon.
    fn look(&self) {
        let now = (self.clock)();
        self.look_at_policies(now);
        if let Some(remote) = &self.remote {
            if let Some(looked) = remote.look() {
                self.notices.put("tls", now, &looked.err().into_iter().collect::<Vec<_>>());
            }
            self.notices.put("ends", now, &soon(&remote.tls().ends, remote.config.warn_days, now));
        }
    }

    fn look_at_policies(&self, now: Timestamp) {
        let found = digest_of_policies(&self.config).ok();
        let mut seen = self.policies_seen.lock().unwrap_or_else(PoisonError::into_inner);
        if found == *seen {
            return;
        }
        *seen = found;
        let AccessConfig { policies, admin, read_only, .. } = &self.config;
        let problem = match Rules::read(policies, admin, read_only) {
            Ok(rules) => {
                *self.rules.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(rules);
                tracing::info!("the policies of access changed");
                None
            }
            Err(error) => Some(format!("{}; those of before count", whole(&error))),
        };
        self.notices.put("policies", now, &problem.into_iter().collect::<Vec<_>>());
    }
}

impl Remote {
    /// Reads what TLS needs if it changed; an error says why that cannot be used.
    fn look(&self) -> Option<Result<(), String>> {
        let found = tls::digest(&self.config).ok();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if found == *seen {
            return None;
        }
        *seen = found;
        Some(match Tls::read(&self.config) {
            Ok(tls) => {
                *self.tls.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(tls);
                tracing::info!("the certificates of the API changed");
                Ok(())
            }
            Err(error) => Err(format!("{}; what was in force stays", whole(&error))),
        })
    }
}

/// What is to be said of certificates that end within so many days.
fn soon(ends: &[End], days: u16, now: Timestamp) -> Vec<String> {
    let until = now.checked_add(SignedDuration::from_hours(24 * i64::from(days))).unwrap_or(Timestamp::MAX);
    let ending = ends.iter().filter(|end| end.at <= until);
    let told = ending.map(|End { file, is_own, at }| {
        let whose = if *is_own { "the certificate of the node" } else { "an authority of clients" };
        let does = if *at <= now { "expired" } else { "expires" };
        format!("{whose} in `{}` {does} at {at}", file.display())
    });
    told.collect()
}

/// An error with its causes.
fn whole(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text = format!("{text}: {next}");
        cause = next.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_told_of_some_days_before_it_ends() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let end = |is_own| End { file: "a.pem".into(), is_own, at: at("2026-03-10T00:00:00Z") };
        let told = |now: &str| soon(&[end(true), end(false)], 30, at(now)).join("\n");
        assert_eq!(told("2026-02-07T23:59:59Z"), "");
        insta::assert_snapshot!(told("2026-02-08T00:00:00Z"), @"
        the certificate of the node in `a.pem` expires at 2026-03-10T00:00:00Z
        an authority of clients in `a.pem` expires at 2026-03-10T00:00:00Z
        ");
        assert!(told("2026-03-10T00:00:00Z").contains("expired at"));
    }
}
