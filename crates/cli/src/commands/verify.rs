// SPDX-License-Identifier: Apache-2.0
//! `l3af verify`: says whether a package or an object is trusted here, and why.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use jiff::Timestamp;
use package::{Digest, Platform};
use serde::Serialize;
use trust::{
    Assurance, Circumstances, Evidence, Explanation, Judgement, Memory, Mode, Policy, PolicyDocument,
};

use super::key::signer;
use crate::arguments::Verify;
use crate::failure::{Failure, Outcome};
use crate::output;
use crate::subject::Subject;

/// What `--json` prints.
#[derive(Serialize)]
struct Explained<'a> {
    trusted: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    authenticode: Option<String>,
    rulings: &'a Explanation,
}

pub(crate) fn run(arguments: &Verify) -> Outcome {
    let Verify { package, logins, naming, platform, .. } = arguments;
    let subject = Subject::open(package, logins, naming, platform.as_ref())?;
    let policy = match &arguments.key {
        Some(key) => Policy::trusting(subject.publisher().clone(), signer(key)?),
        None => read_policy(&arguments.policy)?,
    };
    if policy.mode() == Mode::Normal {
        return Err(Failure::new(format!(
            "nothing was verified: the mode of `{}` is `normal`",
            arguments.policy.display()
        ))
        .with_hint("name a policy with `--policy` whose mode is `trusted`, or a key with `--key`"));
    }
    let machine = machine(arguments, &subject)?;
    // A key that is given by hand says nothing of repositories.
    let fetched_from = subject.fetched_from().filter(|_| arguments.key.is_none());
    let evidence = Evidence { envelopes: subject.envelopes()?, roots: subject.roots()?, fetched_from };
    let memory = Memory::default();
    let at = Circumstances::deployment(&policy, &machine, &memory, Timestamp::now());
    let (release, authenticode) = (subject.release(), subject.authenticode());
    let Judgement { outcome, explanation } = judge(subject, &evidence, &at);
    if arguments.json {
        let (trusted, authenticode) = (outcome.is_ok(), authenticode.clone());
        output::json(&Explained { trusted, authenticode, rulings: &explanation })?;
    } else if arguments.explain {
        output::data(explanation.to_string().trim_end());
    }
    // Whoever signed for Windows is not whom the policy trusts: it is told, and changes nothing.
    let for_windows = authenticode.map(|signature| format!("  {:<12} {signature}", "authenticode"));
    if let (Err(_), Some(line)) = (&outcome, &for_windows) {
        output::note(line.trim_start());
    }
    let (digests, assurance) = outcome?;
    if arguments.json {
        return Ok(());
    }
    output::data(&format!("{release} for {machine}"));
    for (what, digest) in digests {
        output::data(&format!("  {what:<12} {digest}"));
    }
    if let Assurance::Signed { publisher, keys, envelope, .. } = assurance {
        output::data(&format!("  {:<12} signed by `{publisher}` in {envelope}", "trusted"));
        for key in keys {
            output::data(&format!("  {:<12} {key}", "key"));
        }
    }
    if let Some(line) = for_windows {
        output::data(&line);
    }
    Ok(())
}

/// The machine to verify for.
fn machine(arguments: &Verify, subject: &Subject) -> Result<Platform, Failure> {
    let here = || match subject {
        Subject::Package(..) | Subject::Image(..) => Platform::this_machine(),
        Subject::File(_, found) => Some(found.entry.platform.clone()),
    };
    arguments.platform.clone().or_else(here).ok_or_else(|| {
        Failure::new("packages know no platform like this machine's").with_hint("name one with `--platform`")
    })
}

/// What was verified, by name and digest, and why.
type Accepted = (Vec<(&'static str, Digest)>, Assurance);

fn judge(subject: Subject, evidence: &Evidence, at: &Circumstances<'_>) -> Judgement<Accepted> {
    match subject {
        Subject::Package(_, package) => {
            let Judgement { outcome, explanation } = trust::verify(*package, evidence, at);
            let outcome = outcome.map(|verified| {
                let (index, manifest) = (verified.package().index, verified.platform().manifest);
                (vec![("index", index), ("manifest", manifest)], verified.assurance().clone())
            });
            Judgement { outcome, explanation }
        }
        Subject::Image(_, image) => {
            let Judgement { outcome, explanation } = trust::verify(*image, evidence, at);
            let outcome = outcome
                .map(|verified| (vec![("image", verified.package().index)], verified.assurance().clone()));
            Judgement { outcome, explanation }
        }
        Subject::File(file, found) => {
            let Judgement { outcome, explanation } = trust::judge(&found, evidence, at);
            let outcome = outcome.map(|assurance| (vec![("file", file.digest)], assurance));
            Judgement { outcome, explanation }
        }
    }
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
