// SPDX-License-Identifier: Apache-2.0
//! `l3af apply` and `plan`: makes a document the desired state, or tells what that would do.

use std::fs;
use std::path::Path;

use wire::Document;

use super::daemon::{call, report};
use crate::arguments::{Apply, Daemon, Plan};
use crate::failure::{Failure, Outcome};
use crate::output;

/// Reads a document, with the paths in it as the daemon understands them.
pub(crate) fn read(path: &Path) -> Result<Document, Failure> {
    let text = fs::read_to_string(path)
        .map_err(|error| Failure::new(format!("cannot read `{}`: {error}", path.display())))?;
    let mut document = Document::parse_toml(&text)
        .map_err(|error| Failure::new(format!("`{}`: {error}", path.display())))?;
    document.settle(path.parent().unwrap_or(Path::new(".")))?;
    Ok(document)
}

/// `l3af plan`: what applying a document would do, and why.
pub(crate) fn plan(daemon: &Daemon, arguments: &Plan) -> Outcome {
    let document = read(&arguments.document)?;
    let planned = call(daemon, async |node| node.plan(&document).await)?;
    if arguments.json {
        return output::json(&planned);
    }
    planned.chains.iter().for_each(|chain| output::data(&chain.to_string()));
    for (number, step) in planned.steps.iter().enumerate() {
        output::data(&format!("{:>3}. {step}", number + 1));
    }
    planned
        .waiting_for
        .iter()
        .for_each(|place| output::note(&format!("{place} would wait: it does not exist")));
    output::note(&format!("{} steps; nothing was changed", planned.steps.len()));
    Ok(())
}

pub(crate) fn run(daemon: &Daemon, arguments: &Apply) -> Outcome {
    if arguments.dry_run {
        return plan(daemon, &Plan { document: arguments.document.clone(), json: arguments.json });
    }
    let document = read(&arguments.document)?;
    let (expect_generation, confirm_within) = (arguments.expect_generation, arguments.trial.confirm_within);
    let applied = call(daemon, async |node| node.apply(&document, expect_generation, confirm_within).await)?;
    if arguments.json {
        return output::json(&applied);
    }
    report(&applied);
    Ok(())
}
