// SPDX-License-Identifier: Apache-2.0
//! Talking to the daemon, one call at a time.

use std::path::{Path, PathBuf};

use wire::{Applied, CallError, Document, NodeClient, Reference};

use crate::failure::Failure;
use crate::output;

/// Makes calls of one daemon and waits for the answers.
pub(crate) fn call<T>(
    socket: &Path,
    calls: impl AsyncFnOnce(NodeClient) -> Result<T, CallError>,
) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let client = NodeClient::new(socket)?;
    Ok(runtime.block_on(calls(client))?)
}

/// Tells what was done.
pub(crate) fn report(applied: &Applied) {
    for step in &applied.steps {
        output::data(step);
    }
    let done = if applied.steps.is_empty() { "nothing had to be done" } else { "reached" };
    output::note(&format!("generation {}: {done}", applied.generation));
    for note in &applied.notes {
        output::note(&format!("note: {note}"));
    }
}

/// Makes paths of packages what the daemon understands, whatever folder it runs in.
pub(crate) fn settle_paths(document: &mut Document, folder: &Path) -> Result<(), Failure> {
    for member in document.chains.iter_mut().flat_map(|chain| &mut chain.members) {
        member.package = reference(&member.package, folder)?;
    }
    for probe in &mut document.probes {
        probe.package = reference(&probe.package, folder)?;
    }
    Ok(())
}

/// A package folder as a reference. Relative paths begin at `folder`; a package in a registry is one already.
pub(crate) fn reference(path: &str, folder: &Path) -> Result<String, Failure> {
    if let Some(reference) = Reference::in_uri(path) {
        return Ok(reference?.uri());
    }
    let path = path.strip_prefix("file:").unwrap_or(path);
    let found: PathBuf = folder.join(path).canonicalize().map_err(|error| {
        Failure::new(format!("there is no package folder `{}`: {error}", folder.join(path).display()))
            .with_hint("`l3af build` makes one")
    })?;
    Ok(format!("file:{}", found.display()))
}
