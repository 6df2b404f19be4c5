// SPDX-License-Identifier: Apache-2.0
//! `l3af pull`: copies a package, and what refers to it, from a registry into a folder.

use std::path::PathBuf;

use package::ReferrerKind;
use serde_json::json;
use wire::Reference;

use crate::arguments::Pull;
use crate::failure::Outcome;
use crate::output;
use crate::package_source::{pull, registry};
use crate::progress::Reader;

pub(crate) fn run(arguments: &Pull) -> Outcome {
    let reference = &arguments.reference;
    let target = arguments.output.clone().unwrap_or_else(|| usual(reference));
    let reader = Reader::of(arguments.json);
    let layout = pull(&registry(&arguments.logins)?, reference, &target, reader)?;
    let statements = layout.referrers(ReferrerKind::Statement)?.len();
    let uri = Reference { digest: Some(layout.index()?), ..reference.clone() }.uri();
    if arguments.json {
        return output::json(&json!({"reference": uri, "folder": target, "statements": statements}));
    }
    output::note(&format!("pulled into `{}` with {statements} statements", target.display()));
    output::data(&uri);
    Ok(())
}

/// The folder for a package when none is named: `<name>-<tag>.oci` here.
fn usual(reference: &Reference) -> PathBuf {
    let name = reference.repository.path().rsplit('/').next().unwrap_or_default();
    let tag = reference.tag.as_ref().map(|tag| format!("-{tag}")).unwrap_or_default();
    format!("{name}{tag}.oci").into()
}
