// SPDX-License-Identifier: Apache-2.0
//! `l3af verify`: says whether a package is trusted here, and why.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use jiff::Timestamp;
use package::{Package, Platform};
use serde::Serialize;
use trust::{
    Assurance, Circumstances, Evidence, Explanation, Judgement, Memory, Mode, Policy, PolicyDocument,
};
use wire::Layout;

use super::key::signer;
use crate::arguments::Verify;
use crate::failure::{Failure, Outcome};
use crate::output;

/// What `--json` prints.
#[derive(Serialize)]
struct Explained<'a> {
    trusted: bool,
    rulings: &'a Explanation,
}

pub(crate) fn run(arguments: &Verify) -> Outcome {
    let layout = Layout::open(&arguments.package)?;
    let package = Package::read(&layout, &layout.index()?)?;
    let info = package.manifest.package.clone();
    let policy = match &arguments.key {
        Some(key) => Policy::trusting(info.publisher.clone(), signer(key)?),
        None => read_policy(&arguments.policy)?,
    };
    let machine = match &arguments.platform {
        Some(platform) => platform.clone(),
        None => Platform::this_machine().ok_or_else(|| {
            Failure::new("packages know no platform like this machine's")
                .with_hint("name one with `--platform`")
        })?,
    };
    if policy.mode() == Mode::Normal {
        return Err(Failure::new(format!(
            "nothing was verified: the mode of `{}` is `normal`",
            arguments.policy.display()
        ))
        .with_hint("name a policy with `--policy` whose mode is `trusted`, or a key with `--key`"));
    }
    let evidence = Evidence { envelopes: layout.envelopes()?, roots: Vec::new(), fetched_from: None };
    let memory = Memory::default();
    let at = Circumstances::deployment(&policy, &machine, &memory, Timestamp::now());
    let Judgement { outcome, explanation } = trust::verify(package, &evidence, &at);
    if arguments.json {
        output::json(&Explained { trusted: outcome.is_ok(), rulings: &explanation })?;
    } else if arguments.explain {
        output::data(explanation.to_string().trim_end());
    }
    let verified = outcome?;
    if arguments.json {
        return Ok(());
    }
    output::data(&format!("{}/{} {} for {machine}", info.publisher, info.name, info.version));
    output::data(&format!("  index      {}", verified.package().index));
    output::data(&format!("  manifest   {}", verified.platform().manifest));
    if let Assurance::Signed { publisher, keys, envelope, .. } = verified.assurance() {
        output::data(&format!("  trusted    signed by `{publisher}` in {envelope}"));
        for key in keys {
            output::data(&format!("  key        {key}"));
        }
    }
    Ok(())
}

fn read_policy(path: &Path) -> Result<Policy, Failure> {
    let unusable = |why: String| {
        Failure::new(format!("the policy `{}` cannot be used: {why}", path.display()))
            .with_hint("`--policy` names a policy, `--key` a single key to trust")
    };
    let text = fs::read_to_string(path).map_err(|error| unusable(error.to_string()))?;
    let document = PolicyDocument::parse(&text).map_err(|error| unusable(error.to_string()))?;
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut keys = BTreeMap::new();
    for file in document.files() {
        let key =
            fs::read_to_string(folder.join(file)).map_err(|error| unusable(format!("`{file}`: {error}")))?;
        keys.insert(file.to_owned(), key);
    }
    document.resolve(&keys).map_err(|error| unusable(error.to_string()))
}
