// SPDX-License-Identifier: Apache-2.0
//! What reviewers would say of a package before they look at what it does.
//!
//! [`lint`] is a pure function from what a package holds to findings; each names its [`Rule`], where, what, why, and what to do.
//! `docs/lint.md` lists the rules. This crate does no I/O, loads nothing and judges no behaviour: whether a program is good is
//! for people and the kernel's verifier.

mod contents;
mod documents;
mod examined;
mod finding;
mod helper;
mod hygiene;
mod instruction;
mod interface;
mod kernel;
mod license;
mod privileges;
mod reads;
mod registers;
mod rule;
mod rules;
mod silences;
mod sizes;

pub use contents::{Beside, Contents, Unreadable};
pub use finding::{Finding, Place, Severity};
pub use rule::{Area, Rule};
pub use rules::RULES;

use examined::Examined;

/// Looks a package, or an object, over. Findings that the manifest silences are told too, and why they are silenced.
///
/// # Errors
/// When an object cannot be read, or does not have what the manifest says.
pub fn lint(contents: &Contents<'_>) -> Result<Vec<Finding>, Unreadable> {
    let mut findings = Vec::new();
    for path in contents.objects() {
        let examined = Examined::new(contents, path)?;
        for check in
            [kernel::check, license::check, interface::check, sizes::check, reads::check, hygiene::check]
        {
            check(&examined, &mut findings);
        }
    }
    if let Some(manifest) = contents.manifest() {
        documents::check(manifest, contents, &mut findings);
        privileges::check(manifest, &mut findings);
        silences::apply(manifest, &mut findings);
    }
    findings.sort();
    findings.dedup();
    Ok(findings)
}
