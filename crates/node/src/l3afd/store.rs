// SPDX-License-Identifier: Apache-2.0
//! The file with what was asked for by the API of l3afd v1 (`[l3af-config-store]`): written after each change, and taken over
//! from a l3afd v1 that was here before. What counts are the generations of this daemon.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use wire::l3afd::{self, Configured, Entry};

use super::api::Old;
use crate::access::Asker;
use crate::durable;
use crate::server::with;

/// When it is tried again to take over what a l3afd v1 left: its repository may be back.
const PAUSE: Duration = Duration::from_mins(1);

/// Writes all of it, as l3afd v1 does.
pub(crate) fn write(path: &Path, configured: &Configured, host: &str) -> io::Result<()> {
    let entries = configured.entries(host);
    // Go writes a list of nothing as `null`.
    let entries = Some(entries).filter(|entries| !entries.is_empty());
    durable::write(path, &l3afd::write(&entries, " "))
}

/// What was asked for, as it is written there; nothing where there is no such file.
pub(crate) fn read(path: &Path) -> Result<Vec<Entry>, String> {
    match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error.to_string()),
        Ok(text) => {
            let read = l3afd::read::<Option<Vec<Entry>>>(&text).map_err(|error| error.to_string())?;
            Ok(read.unwrap_or_default())
        }
    }
}

/// Asks for what a l3afd v1 left, where nothing was asked of this daemon yet, until it is reached or somebody asks for something.
pub(crate) async fn take_over(old: Old) {
    let Some(path) = old.config.store.clone() else { return };
    let entries = match read(&path) {
        Ok(entries) => entries,
        Err(problem) => {
            tracing::error!(
                "what a l3afd v1 left in `{}` cannot be read, and is left alone: {problem}",
                path.display()
            );
            return;
        }
    };
    if entries.is_empty() {
        return;
    }
    if is_due(&old).await {
        let maps = old.config.bpf_maps.clone();
        // A call that failed inside was told where it did.
        if let Ok(Err(rejected)) = with(&old.engine, move |engine| engine.inherit(&maps)).await {
            tracing::error!("{}", rejected.problem());
        }
    }
    while is_due(&old).await {
        let (entries, host) = (entries.clone(), old.config.repository.host.clone());
        let asker = Asker::file(&path);
        match old.change(asker, move |configured| configured.update(entries, &host)).await {
            Ok(_) => {
                tracing::info!("took over what a l3afd v1 left in `{}`", path.display());
                return;
            }
            Err(problem) => {
                tracing::error!(
                    "what a l3afd v1 left in `{}` cannot be taken over: {problem}",
                    path.display()
                );
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Whether nothing was asked of this daemon yet, or what was is held for it to take over.
async fn is_due(old: &Old) -> bool {
    let is_held = with(&old.engine, |engine| engine.is_detached()).await.unwrap_or_default();
    old.is_new().await || old.config.takes_over && is_held
}
