// SPDX-License-Identifier: Apache-2.0
//! Where the daemon's own log goes, and in which form: lines for people, JSON for collectors, or the fields of the journal.

use std::io::{self, IsTerminal};
use std::os::fd::AsFd;

use serde::Deserialize;
use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer, fmt, registry};

/// The form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogForm {
    /// Lines for people, on stderr.
    Text,
    /// One JSON object a line, on stderr.
    Json,
    /// Entries of the systemd journal, with what else is known in fields of their own (`L3AF_…`).
    Journald,
}

/// Begins to log. Without a form that was asked for, the journal gets entries when stderr leads to it, and others get text.
/// `journal_stream` is what the manager of services says of the journal.
pub fn begin_log(asked: Option<LogForm>, journal_stream: Option<&str>) {
    let usual = || if is_stream(io::stderr(), journal_stream) { LogForm::Journald } else { LogForm::Text };
    match asked.unwrap_or_else(usual) {
        LogForm::Text => begin(text()),
        LogForm::Json => begin(fmt::layer().json().flatten_event(true).with_writer(io::stderr)),
        LogForm::Journald => match tracing_journald::layer() {
            Ok(journal) => {
                let journal = journal.with_field_prefix(Some("L3AF".to_owned()));
                begin(journal.with_syslog_identifier("l3afd".to_owned()));
            }
            Err(error) => {
                begin(text());
                tracing::warn!("the journal cannot be reached, so this log is text: {error}");
            }
        },
    }
}

fn text<S>() -> impl Layer<S> + Send + Sync
where
    S: tracing::Subscriber + for<'a> LookupSpan<'a>,
{
    fmt::layer().with_writer(io::stderr).with_ansi(io::stderr().is_terminal())
}

fn begin(form: impl Layer<registry::Registry> + Send + Sync) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::registry().with(form.with_filter(filter)).init();
}

/// Whether a descriptor is the one that `JOURNAL_STREAM` names by device and inode (`systemd.exec(5)`). What was redirected since
/// is not.
fn is_stream(descriptor: impl AsFd, journal_stream: Option<&str>) -> bool {
    let Ok(found) = rustix::fs::fstat(descriptor) else { return false };
    journal_stream == Some(format!("{}:{}", found.st_dev, found.st_ino).as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_known_by_device_and_inode() {
        let file = tempfile::tempfile().unwrap();
        let found = rustix::fs::fstat(&file).unwrap();
        let named = format!("{}:{}", found.st_dev, found.st_ino);
        assert!(is_stream(&file, Some(&named)));
        let other = format!("{}:{}", found.st_dev, found.st_ino + 1);
        assert!(!is_stream(&file, Some(&other)) && !is_stream(&file, None) && !is_stream(&file, Some("")));
    }
}
