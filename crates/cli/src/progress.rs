// SPDX-License-Identifier: Apache-2.0
//! How far a package is on its way, for somebody who looks at a terminal; nothing where nobody does.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use wire::{Progress, Registry, RegistryError};

use crate::failure::Failure;
use crate::package_source::wait;

/// How often the bar is drawn.
const PERIOD: Duration = Duration::from_millis(100);

/// Who reads what a command writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reader {
    /// Somebody, who may sit at a terminal.
    Person,
    /// A program, or somebody who waits for something else.
    Program,
}

impl Reader {
    /// The reader of a command that may have been asked for JSON.
    pub(crate) fn of(json: bool) -> Self {
        if json { Self::Program } else { Self::Person }
    }
}

/// Waits for a registry, and shows how far it is.
pub(crate) fn watch<T>(
    registry: &Registry,
    (action, reader): (&'static str, Reader),
    work: impl Future<Output = Result<T, RegistryError>>,
) -> Result<T, Failure> {
    let (bar, progress) = (bar(action, reader), registry.progress());
    let done = wait(async {
        let mut work = std::pin::pin!(work);
        let mut period = tokio::time::interval(PERIOD);
        loop {
            tokio::select! {
                done = &mut work => return done,
                _ = period.tick() => draw(&bar, &progress),
            }
        }
    });
    if done.is_ok() && progress.expected_bytes() > 0 {
        draw(&bar, &progress);
        bar.finish();
    } else {
        bar.finish_and_clear();
    }
    done
}

/// A bar on stderr; it is drawn nowhere where that is no terminal.
fn bar(action: &'static str, reader: Reader) -> ProgressBar {
    let target = match reader {
        Reader::Person => ProgressDrawTarget::stderr(),
        Reader::Program => ProgressDrawTarget::hidden(),
    };
    let style = "{msg} [{bar:32}] {bytes}/{total_bytes}, {bytes_per_sec}";
    let style = ProgressStyle::with_template(style).expect("it has braces in pairs").progress_chars("=> ");
    ProgressBar::with_draw_target(None, target).with_style(style).with_message(action)
}

fn draw(bar: &ProgressBar, progress: &Progress) {
    // Before the documents came nobody knows how much there is.
    if progress.expected_bytes() > 0 {
        bar.set_length(progress.expected_bytes());
        bar.set_position(progress.done_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_shown_nothing() {
        assert!(bar("pulling", Reader::Program).is_hidden());
        assert_eq!(Reader::of(true), Reader::Program);
    }
}
