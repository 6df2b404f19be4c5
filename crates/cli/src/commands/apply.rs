// SPDX-License-Identifier: Apache-2.0
//! `l3af apply`: makes a document the desired state.

use std::fs;
use std::path::Path;

use wire::Document;

use super::daemon::{call, report, settle_paths};
use crate::arguments::Apply;
use crate::failure::{Failure, Outcome};
use crate::output;

/// Reads a document, with the paths in it as the daemon understands them.
pub(crate) fn read(path: &Path) -> Result<Document, Failure> {
    let text = fs::read_to_string(path)
        .map_err(|error| Failure::new(format!("cannot read `{}`: {error}", path.display())))?;
    let mut document = Document::parse_toml(&text)
        .map_err(|error| Failure::new(format!("`{}`: {error}", path.display())))?;
    settle_paths(&mut document, path.parent().unwrap_or(Path::new(".")))?;
    Ok(document)
}

pub(crate) fn run(socket: &Path, arguments: &Apply) -> Outcome {
    let document = read(&arguments.document)?;
    if arguments.dry_run {
        let planned = call(socket, async |node| node.plan(&document).await)?;
        if arguments.json {
            return output::json(&planned);
        }
        planned.steps.iter().for_each(|step| output::data(step));
        output::note(&format!("{} steps; nothing was changed", planned.steps.len()));
        return Ok(());
    }
    let (expect_generation, confirm_within) = (arguments.expect_generation, arguments.trial.confirm_within);
    let applied = call(socket, async |node| node.apply(&document, expect_generation, confirm_within).await)?;
    if arguments.json {
        return output::json(&applied);
    }
    report(&applied);
    Ok(())
}
