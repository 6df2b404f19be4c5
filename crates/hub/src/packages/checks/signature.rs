// SPDX-License-Identifier: Apache-2.0
//! Whether the publisher signed it: by the registered root, through the same door that nodes use.

use std::collections::BTreeMap;

use trust::{Circumstances, Evidence, Found, Memory, Policy, PolicyDocument, Root, judge};
use wire::hub::{Finding, Level};

use package::Privileges;

use super::{Subject, finding};
use crate::answer::whole;

pub(super) fn check(subject: &Subject<'_>) -> Vec<Finding> {
    let publisher = &subject.release.publisher;
    let Some(first) = subject.roots.first() else {
        let hint = "`l3af publisher init` makes a root and `l3af publisher register` hands it in; then have it checked \
                    again (`POST …/checks`)";
        return vec![finding(Level::Fail, format!("`{publisher}` has no registered root"), hint)];
    };
    let policy = match policy(publisher, first) {
        Ok(policy) => policy,
        Err(why) => {
            let hint = "register a root of this publisher";
            return vec![finding(Level::Fail, whole(&why), hint)];
        }
    };
    let evidence = with_roots(subject.evidence, subject.roots);
    let memory = Memory::default();
    let mut findings = Vec::new();
    for entry in &subject.package.platforms {
        let at = Circumstances::deployment(&policy, &entry.platform, &memory, subject.now);
        // What the user program may do is for each node to say.
        let found = Found { privileges: Privileges::default(), ..Found::in_package(subject.package, entry) };
        if let Err(refused) = judge(&found, &evidence, &at).outcome {
            let what = format!("for {}: {}", entry.platform, whole(&refused));
            findings.push(finding(Level::Fail, what, hint(&refused)));
        }
    }
    findings
}

/// What a publisher whose release lacks a good signature can do.
fn hint(refused: &trust::Refused) -> String {
    if matches!(refused, trust::Refused::NoStatement { .. }) {
        return "sign it (`l3af sign oci://…`): what is pushed beside it has it checked again".to_owned();
    }
    refused.hint()
}

/// Who signed, where the check passed: the digest of the publisher's first root, which is what machines pin.
pub(in crate::packages) fn signed_by(roots: &[Root]) -> Option<String> {
    roots.first().map(|first| first.digest().to_string())
}

/// A policy that trusts the publisher for everything, by the first root.
fn policy(publisher: &str, first: &Root) -> Result<Policy, trust::PolicyError> {
    let text = format!("[[publisher]]\nname = \"{publisher}\"\npackages = [\"*\"]\nroot_file = \"root\"\n");
    let files = BTreeMap::from([("root".to_owned(), first.text().to_owned())]);
    PolicyDocument::parse(&text)?.resolve(&files)
}

fn with_roots(evidence: &Evidence, roots: &[Root]) -> Evidence {
    let mut evidence = evidence.clone();
    evidence.roots.extend(roots.iter().map(|root| root.text().as_bytes().to_vec()));
    evidence
}
