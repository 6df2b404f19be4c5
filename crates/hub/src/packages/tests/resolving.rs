// SPDX-License-Identifier: Apache-2.0
//! Which release somebody is led to.

use std::collections::BTreeSet;

use wire::hub::{Channel, Facts, State};

use crate::packages::Release;
use crate::packages::resolve::{Asked, latest, resolve};

/// A release that runs from this kernel on.
pub(crate) fn release(version: &str, kernel: &str, state: State) -> Release {
    let facts = Facts {
        description: "Limits rates".to_owned(),
        category: "network".to_owned(),
        subcategory: "limits".to_owned(),
        tags: Vec::new(),
        license: "MIT".to_owned(),
        homepage: None,
        source: None,
        kernel_min: kernel.parse().expect("a kernel"),
        platforms: vec!["linux/amd64".to_owned()],
        hooks: BTreeSet::from(["xdp".to_owned()]),
        program_types: BTreeSet::from(["xdp".to_owned()]),
        programs: Vec::new(),
        maps: BTreeSet::new(),
        co_re: true,
        user_program: false,
        size_bytes: 0,
    };
    Release {
        id: version.to_owned(),
        package: String::new(),
        version: version.parse().expect("a version"),
        repository: String::new(),
        digest: String::new(),
        state,
        reason: None,
        evidence: 0,
        pushed_by: None,
        pushed_ms: 0,
        released_ms: Some(0),
        facts: Some(facts),
        signed_by: None,
        pulls: 0,
        publisher: "l3af".to_owned(),
        name: "ratelimit".to_owned(),
    }
}

fn releases() -> Vec<Release> {
    let of = |(version, kernel, state)| release(version, kernel, state);
    let all = [
        ("1.0.0", "5.10", State::Released),
        ("1.2.0", "5.10", State::Released),
        ("1.3.0", "6.1", State::Released),
        ("1.3.1", "6.1", State::Yanked),
        ("1.4.0-rc.1", "6.1", State::Released),
        ("2.0.0", "6.6", State::Released),
        ("2.1.0", "6.6", State::Review),
    ];
    all.map(of).into()
}

fn told(range: &str, channel: Channel, kernel: Option<&str>, platform: Option<&str>) -> String {
    let asked = Asked {
        range: range.parse().expect("a range"),
        channel,
        kernel: kernel.map(|kernel| kernel.parse().expect("a kernel")),
        platform: platform.map(|platform| platform.parse().expect("a platform")),
    };
    resolve(&releases(), &asked).map_or_else(|none| none.to_string(), |found| found.version.to_string())
}

#[test]
fn the_greatest_that_fits_is_taken() {
    use Channel::{Candidate, Stable};
    assert_eq!(told("*", Stable, None, None), "2.0.0");
    assert_eq!(told("^1.2", Stable, None, None), "1.3.0", "1.3.1 is yanked");
    assert_eq!(told("^1.2", Candidate, None, None), "1.4.0-rc.1");
    assert_eq!(told("^1.2", Stable, Some("5.15"), None), "1.2.0", "1.3.0 needs a newer kernel");
    assert_eq!(
        told("=1.3.1", Stable, None, None),
        "no release in the channel `stable` is in `=1.3.1`; the newest is 2.0.0"
    );
    assert_eq!(
        told("^2", Stable, Some("6.1"), None),
        "2.0.0 is in the range, but it needs Linux 6.6, and yours is 6.1"
    );
    assert_eq!(
        told("^2", Stable, None, Some("linux/arm64")),
        "2.0.0 is in the range, but it is for linux/amd64, not for linux/arm64"
    );
}

#[test]
fn a_package_without_a_stable_release_is_known_by_its_candidate() {
    let mut releases = releases();
    assert_eq!(latest(&releases).map(|best| best.version.to_string()).as_deref(), Some("2.0.0"));
    releases.retain(|release| !release.version.pre.is_empty() || release.state == State::Review);
    assert_eq!(latest(&releases).map(|best| best.version.to_string()).as_deref(), Some("1.4.0-rc.1"));
}
