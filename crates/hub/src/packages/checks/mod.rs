// SPDX-License-Identifier: Apache-2.0
//! What every release is held against before people look at it.
//!
//! A [`Check`] is a name and a pure function from what was read to findings; [`queue`](super::queue) reads, runs them, and keeps
//! what they found. Another check is another entry of [`CHECKS`].

mod contents;
mod names;
mod signature;
mod versions;

use jiff::Timestamp;
use package::{Digest, Package};
use trust::{Evidence, Root};
use wire::hub::{CheckResult, Finding, Level, State};

use super::release::Release;
use crate::answer::whole;
use crate::config::Review;

pub(super) use self::contents::{FIXED, linted, unpacked};
pub(super) use self::names::NAME;
pub(super) use self::signature::signed_by;

/// A check.
struct Check {
    name: &'static str,
    run: fn(&Subject<'_>) -> Vec<Finding>,
}

/// All checks that need a package that could be read, in their order.
const CHECKS: [Check; 11] = [
    Check { name: "identity", run: contents::identity },
    Check { name: "signature", run: signature::check },
    Check { name: "version", run: versions::version },
    Check { name: "map-interface", run: versions::map_interface },
    Check { name: "licence", run: contents::licence },
    Check { name: "kernel", run: contents::kernel },
    Check { name: "documentation", run: contents::documentation },
    Check { name: "size", run: contents::size },
    Check { name: NAME, run: names::check },
    Check { name: "rejected", run: contents::rejected },
    Check { name: "lint", run: contents::lint },
];

/// The check that there is a package: all digests and sizes are right, and it is what its manifest says.
const PACKAGE: &str = "package";

/// What is checked, and what is around it.
pub(super) struct Subject<'a> {
    pub(super) rules: &'a Review,
    pub(super) now: Timestamp,
    pub(super) release: &'a Release,
    pub(super) package: &'a Package,
    /// The other releases of the package.
    pub(super) others: &'a [Release],
    /// The public release before this one, where it can be read.
    pub(super) before: Option<&'a Package>,
    /// What refers to it.
    pub(super) evidence: &'a Evidence,
    /// The registered roots of the publisher, oldest first.
    pub(super) roots: &'a [Root],
    /// Packages of others that are public, as `publisher/name`.
    pub(super) known: &'a [String],
    /// Those of its objects that were rejected, each with the reason.
    pub(super) rejected: &'a [(Digest, String)],
}

impl Subject<'_> {
    /// The releases that people have.
    fn public(&self) -> impl Iterator<Item = &Release> {
        self.others.iter().filter(|other| other.state.is_public())
    }
}

/// Runs all checks.
pub(super) fn run(subject: &Subject<'_>) -> Vec<CheckResult> {
    let read = CheckResult::new(PACKAGE, Vec::new());
    let ran = CHECKS.iter().map(|check| CheckResult::new(check.name, (check.run)(subject)));
    std::iter::once(read).chain(ran).collect()
}

/// Those that look at nothing but the package itself and at what this hub takes.
const OF_MIRRORED: [&str; 7] = ["identity", "licence", "kernel", "documentation", "size", "rejected", "lint"];
/// The check that the trust policy of a mirror's rule holds.
const POLICY: &str = "policy";

/// Runs the checks of a package that was released elsewhere, beside what a trust policy made of it: which other releases there
/// are, and who may speak for its publisher, is for the place where it was released.
pub(super) fn run_mirrored(subject: &Subject<'_>, policy: Vec<Finding>) -> Vec<CheckResult> {
    let before = [CheckResult::new(PACKAGE, Vec::new()), CheckResult::new(POLICY, policy)];
    let chosen = CHECKS.iter().filter(|check| OF_MIRRORED.contains(&check.name));
    let ran = chosen.map(|check| CheckResult::new(check.name, (check.run)(subject)));
    before.into_iter().chain(ran).collect()
}

/// What is told of bytes that are no package.
pub(super) fn unreadable(why: &dyn std::error::Error) -> CheckResult {
    let hint =
        "build it with `l3af build` and push that; a version is never used again, so it needs the next one";
    CheckResult::new(PACKAGE, vec![finding(Level::Fail, whole(why), hint)])
}

/// The state that these results lead to, and why.
pub(super) fn verdict(results: &[CheckResult]) -> (State, Option<String>) {
    let failed: Vec<&str> = results
        .iter()
        .filter(|result| result.level == Level::Fail)
        .map(|result| result.name.as_str())
        .collect();
    if failed.is_empty() {
        (State::Review, None)
    } else {
        (State::ChangesAsked, Some(format!("the checks failed: {}", failed.join(", "))))
    }
}

pub(super) fn finding(level: Level, what: impl Into<String>, hint: impl Into<String>) -> Finding {
    Finding { level, what: what.into(), hint: Some(hint.into()) }
}
