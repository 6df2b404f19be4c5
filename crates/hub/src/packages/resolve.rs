// SPDX-License-Identifier: Apache-2.0
//! From a range, a kernel and a platform to one release.

use package::{KernelVersion, Platform, Version};
use semver::{Prerelease, VersionReq};
use thiserror::Error;
use wire::hub::{Channel, State};

use super::release::Release;

/// What somebody asks for.
#[derive(Debug, Clone, Default)]
pub(super) struct Asked {
    /// Versions, such as `^1.2`; all where there is none.
    pub(super) range: VersionReq,
    pub(super) channel: Channel,
    pub(super) kernel: Option<KernelVersion>,
    pub(super) platform: Option<Platform>,
}

/// No release is what is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(super) enum Unresolved {
    /// There is no such version.
    #[error("no release in the channel `{channel}` is in `{range}`; the newest is {}", shown(.newest.as_ref()))]
    Range { range: VersionReq, channel: Channel, newest: Option<Version> },
    /// What is in the range nobody is given any more.
    #[error("{version} was taken down ({reason})")]
    TakenDown { version: Version, reason: String },
    /// Those in the range are for other machines.
    #[error("{version} is in the range, but {problem}")]
    Unfit {
        /// The greatest in the range.
        version: Version,
        problem: String,
    },
}

fn shown(version: Option<&Version>) -> String {
    version.map_or_else(|| "none".to_owned(), ToString::to_string)
}

/// The release that most people want: the greatest version without a pre-release, else the greatest.
pub(crate) fn latest(releases: &[Release]) -> Option<&Release> {
    let greatest = |channel| {
        let there = releases.iter().filter(|release| is_offered(release, channel));
        there.max_by(|one, other| one.version.cmp(&other.version))
    };
    greatest(Channel::Stable).or_else(|| greatest(Channel::Candidate))
}

/// The greatest release that is what was asked for. Nobody is led to what is yanked.
pub(super) fn resolve<'a>(releases: &'a [Release], asked: &Asked) -> Result<&'a Release, Unresolved> {
    let mut offered: Vec<&Release> =
        releases.iter().filter(|release| is_offered(release, asked.channel)).collect();
    offered.sort_by(|one, other| other.version.cmp(&one.version));
    let newest = offered.first().map(|release| release.version.clone());
    let mut refused = None;
    for release in offered.into_iter().filter(|release| is_in(&asked.range, &release.version)) {
        match unfit(release, asked) {
            None => return Ok(release),
            Some(problem) => {
                refused.get_or_insert(Unresolved::Unfit { version: release.version.clone(), problem });
            }
        }
    }
    let taken = releases.iter().filter(|release| release.state == State::TakenDown);
    let mut taken = taken.filter(|release| is_in(&asked.range, &release.version));
    if let (None, Some(release)) = (&refused, taken.next()) {
        let reason = release.reason.clone().unwrap_or_default();
        return Err(Unresolved::TakenDown { version: release.version.clone(), reason });
    }
    let none = Unresolved::Range { range: asked.range.clone(), channel: asked.channel, newest };
    Err(refused.unwrap_or(none))
}

fn is_offered(release: &Release, channel: Channel) -> bool {
    release.state == State::Released && (channel == Channel::Candidate || release.version.pre.is_empty())
}

/// Whether a version is in a range. A pre-release, which comes here only where the channel has it, is where the version will be that
/// it leads to: otherwise `^1.2` would pass over `1.3.0-rc.1` (as `semver` has it, for those who did not ask for pre-releases).
pub(crate) fn is_in(range: &VersionReq, version: &Version) -> bool {
    let led_to = Version { pre: Prerelease::EMPTY, ..version.clone() };
    range.matches(version) || (!version.pre.is_empty() && range.matches(&led_to))
}

fn unfit(release: &Release, asked: &Asked) -> Option<String> {
    let facts = release.facts.as_ref()?;
    let old = asked.kernel.filter(|running| *running < facts.kernel_min);
    let foreign = asked.platform.as_ref().filter(|platform| !facts.runs_on(platform));
    match (old, foreign) {
        (Some(running), _) => Some(format!("it needs Linux {}, and yours is {running}", facts.kernel_min)),
        (None, Some(platform)) => {
            Some(format!("it is for {}, not for {platform}", facts.platforms.join(", ")))
        }
        (None, None) => None,
    }
}
