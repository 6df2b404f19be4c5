// SPDX-License-Identifier: Apache-2.0
//! Semantic Versioning 2.0: that versions grow, and tell whoever uses the maps of a package when they must look.

use maps::{Comparison, Interface};
use package::{Package, Platform, Version};
use wire::hub::{Finding, Level, State};

use super::super::release::Release;
use super::{Subject, finding};
use crate::answer::whole;

/// A version must be greater than all of its line, which are those with the same major and minor number: older lines may still be
/// mended.
pub(super) fn version(subject: &Subject<'_>) -> Vec<Finding> {
    let version = &subject.release.version;
    let line = subject.others.iter().filter(|other| was_public(other)).filter(|other| {
        let other = &other.version;
        (other.major, other.minor) == (version.major, version.minor)
    });
    // What differs in the build alone has the same precedence.
    let greater = line.filter(|other| other.version.cmp_precedence(version).is_ge());
    let greatest = greater.max_by(|one, other| one.version.cmp(&other.version));
    let told = greatest.map(|greatest| {
        let what = format!("{version} is not greater than {}, which was released", greatest.version);
        finding(Level::Fail, what, "push it by a greater version")
    });
    told.into_iter().collect()
}

fn was_public(release: &Release) -> bool {
    release.state.is_public() || (release.state == State::Deleted && release.released_ms.is_some())
}

/// What breaks those who use the maps needs a major version (before 1.0.0, a minor one), and what is added a minor one.
pub(super) fn map_interface(subject: &Subject<'_>) -> Vec<Finding> {
    let Some(before) = subject.before else { return Vec::new() };
    let (was, becomes) = (&before.manifest.package.version, &subject.release.version);
    let common = subject.package.platforms.iter().map(|entry| &entry.platform);
    let Some(platform) = common.into_iter().find(|platform| before.for_platform(platform).is_some()) else {
        return Vec::new();
    };
    let compared = interface(before, platform)
        .and_then(|before| Ok(interface(subject.package, platform)?.compare(&before)));
    match compared {
        Err(why) => vec![finding(Level::Warn, whole(&why), "look at the maps by `l3af inspect`")],
        Ok(Comparison::Incompatible(difference)) if !may_break(was, becomes) => {
            let what = format!("since {was}, {difference}: whoever uses its maps would be broken");
            let next = if was.major == 0 {
                format!("0.{}.0", was.minor + 1)
            } else {
                format!("{}.0.0", was.major + 1)
            };
            vec![finding(Level::Fail, what, format!("push it as {next} or greater"))]
        }
        Ok(Comparison::Extended(difference)) if (was.major, was.minor) == (becomes.major, becomes.minor) => {
            let what = format!("since {was}, {difference}, which is more than a patch");
            vec![finding(Level::Warn, what, "what is added comes with a greater minor number")]
        }
        Ok(Comparison::Same | Comparison::Extended(_) | Comparison::Incompatible(_)) => Vec::new(),
    }
}

fn may_break(was: &Version, becomes: &Version) -> bool {
    becomes.major > was.major || (was.major == 0 && becomes.minor > was.minor)
}

/// All maps of the objects of a package; those of several objects that are called alike are one to people.
fn interface(package: &Package, platform: &Platform) -> Result<Interface, package::InterfaceError> {
    let files = package.for_platform(platform).map(|entry| &entry.files);
    let bytes = |path: &str| files.and_then(|files| files.bytes(path)).unwrap_or_default();
    let mut joined = Interface::default();
    for interface in package.manifest.interfaces(bytes)?.into_values() {
        for map in interface.maps {
            if joined.map(&map.name).is_none() {
                joined.maps.push(map);
            }
        }
    }
    Ok(joined)
}
