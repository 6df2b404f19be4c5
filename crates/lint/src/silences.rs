// SPDX-License-Identifier: Apache-2.0
//! What the manifest says that it breaks on purpose. It is told all the same, with the reason.

use package::Manifest;

use crate::rules::{SILENCE_UNKNOWN, SILENCE_USELESS};
use crate::{Finding, Place, Rule};

pub(crate) fn apply(manifest: &Manifest, findings: &mut Vec<Finding>) {
    let mut own = Vec::new();
    for silence in &manifest.silences {
        let find = |rule, what: &str| {
            Finding::new(rule, Place::key("lint.allow"), format!("`{}` {what}", silence.rule))
        };
        if Rule::named(&silence.rule).is_none() {
            own.push(find(&SILENCE_UNKNOWN, "is no rule"));
            continue;
        }
        let mut broken = findings.iter_mut().filter(|finding| finding.rule.name == silence.rule).peekable();
        if broken.peek().is_none() {
            own.push(find(&SILENCE_USELESS, "is kept"));
        }
        broken.for_each(|finding| finding.silenced = Some(silence.why.clone()));
    }
    findings.append(&mut own);
}
