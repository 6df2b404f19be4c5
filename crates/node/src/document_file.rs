// SPDX-License-Identifier: Apache-2.0
//! The desired state in a file: it is applied when the daemon starts and whenever its content changes. While one is configured
//! nobody else may say what is desired.

use std::error::Error;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinError;
use tokio::time::{Instant, sleep};
use wire::Document;

use crate::access::{Access, Asker};
use crate::server::{self, Shared, with};
use crate::{Fetcher, Rejected};

/// How often it is looked at.
const PAUSE: Duration = Duration::from_secs(1);
/// When a document that was refused is tried again: a registry may be back, or a policy corrected.
const PAUSE_AFTER_REFUSAL: Duration = Duration::from_mins(1);
/// What a document may have.
const MAX_BYTES: u64 = 4 * 1024 * 1024;

/// The file, and what is needed to apply it.
pub(crate) struct DocumentFile {
    pub(crate) path: PathBuf,
    pub(crate) state: PathBuf,
    pub(crate) engine: Shared,
    pub(crate) fetcher: Arc<Fetcher>,
    pub(crate) access: Arc<Access>,
}

/// A content that was tried.
struct Tried {
    bytes: Vec<u8>,
    /// When to try the same again; never where it was accepted.
    again: Option<Instant>,
}

impl DocumentFile {
    /// Applies what it says, again and again.
    pub(crate) async fn follow(self) {
        let mut tried: Option<Tried> = None;
        loop {
            let is_due = |tried: &Tried| tried.again.is_some_and(|again| Instant::now() >= again);
            match read(&self.path) {
                Ok(_) if self.is_held() => tried = None,
                Ok(bytes) if tried.as_ref().is_some_and(|tried| tried.bytes == bytes && !is_due(tried)) => {}
                Ok(bytes) => {
                    let before = self.number().await;
                    let outcome = self.apply(&bytes).await;
                    let problem = outcome.as_ref().err().map(Rejected::problem);
                    self.access.record_file(&self.path, problem, (before, self.number().await));
                    let again = outcome.is_err().then(|| Instant::now() + PAUSE_AFTER_REFUSAL);
                    tried = Some(Tried { bytes, again });
                    self.note(outcome).await;
                }
                Err(error) => {
                    tried = None;
                    self.note(Err(self.bad(error))).await;
                }
            }
            sleep(PAUSE).await;
        }
    }

    async fn apply(&self, bytes: &[u8]) -> Result<(), Rejected> {
        let document = self.parse(bytes)?;
        let fetched = server::fetch(&self.engine, &self.fetcher, &document).await.map_err(panicked)??;
        let asker = Asker::file(&self.path);
        let applied = with(&self.engine, move |engine| engine.apply_file(document, &fetched, &asker)).await;
        applied.map_err(panicked)?
    }

    /// Of the generation in force, where that is known.
    async fn number(&self) -> Option<u64> {
        let asked = with(&self.engine, |engine| engine.desired().ok().map(|desired| desired.number));
        asked.await.ok().flatten()
    }

    fn parse(&self, bytes: &[u8]) -> Result<Document, Rejected> {
        let text = std::str::from_utf8(bytes).map_err(|error| self.bad(error))?;
        let mut document = Document::parse_toml(text).map_err(|error| self.bad(error))?;
        document.settle(self.path.parent().unwrap_or(Path::new("/"))).map_err(|error| self.bad(error))?;
        Ok(document)
    }

    /// Whether everything was taken off by hand after the file was written: until it is written again nothing is applied.
    fn is_held(&self) -> bool {
        let changed = |path: &Path| fs::metadata(path).and_then(|found| found.modified());
        let held = changed(&self.state.join("detached"));
        held.is_ok_and(|held| changed(&self.path).is_ok_and(|written| written <= held))
    }

    async fn note(&self, outcome: Result<(), Rejected>) {
        let problem = outcome.err().map(|rejected| rejected.problem());
        drop(with(&self.engine, move |engine| engine.note_file_problem(problem)).await);
    }

    fn bad(&self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Rejected {
        Rejected::BadFile { path: self.path.clone(), source: source.into() }
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(io::Error::other(format!("it has more than {MAX_BYTES} bytes")));
    }
    Ok(bytes)
}

fn panicked(error: JoinError) -> Rejected {
    Rejected::State { action: "apply the file", source: io::Error::other(error) }
}
