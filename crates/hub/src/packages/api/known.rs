// SPDX-License-Identifier: Apache-2.0
//! Finding what a path names, for those who may know of it, and telling it.

use std::sync::Arc;

use package::Version;
use serde::Deserialize;
use utoipa::IntoParams;
use wire::hub::{Advisory, ReleaseView, State};

use super::super::release::Release;
use super::super::{advisories, line};
use super::refused::{Refused, missing};
use crate::Hub;
use crate::access::{Action, Caller, Place};
use crate::time::rfc3339;

/// A package in a path.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct PackagePath {
    /// Who publishes it.
    pub(super) publisher: String,
    /// Its name.
    pub(super) name: String,
}

/// A release in a path.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct ReleasePath {
    /// Who publishes it.
    pub(super) publisher: String,
    /// The package.
    pub(super) name: String,
    /// The version.
    pub(super) version: String,
}

impl PackagePath {
    pub(super) fn place(&self) -> Place {
        Place { publisher: self.publisher.clone(), repository: self.name.clone() }
    }

    fn text(&self) -> String {
        format!("{}/{}", self.publisher, self.name)
    }
}

impl ReleasePath {
    pub(super) fn place(&self) -> Place {
        self.package().place()
    }

    pub(super) fn package(&self) -> PackagePath {
        PackagePath { publisher: self.publisher.clone(), name: self.name.clone() }
    }
}

/// The releases of a package that a caller may know of, the greatest version first; there is one at least.
pub(super) async fn releases(
    hub: &Arc<Hub>,
    caller: &Caller,
    path: &PackagePath,
) -> Result<Vec<Release>, Refused> {
    hub.access.permit(caller, Action::Pull, &path.place()).await?;
    let sees_all = hub.access.permit(caller, Action::Inspect, &path.place()).await.is_ok();
    let mut found = Release::all(hub.database.readers(), &path.publisher, &path.name).await?;
    found.retain(|release| sees_all || is_told(release));
    if found.is_empty() { Err(missing("package", path.text())) } else { Ok(found) }
}

/// Whether everybody may know of a release. That it was taken down, whoever had it should know.
fn is_told(release: &Release) -> bool {
    release.state.is_public() || (release.state == State::TakenDown && release.released_ms.is_some())
}

/// A release that a caller may know of.
pub(super) async fn release(hub: &Arc<Hub>, caller: &Caller, path: &ReleasePath) -> Result<Release, Refused> {
    let none = || missing("release", format!("{}/{} {}", path.publisher, path.name, path.version));
    let version: Version = path.version.parse().ok().ok_or_else(none)?;
    hub.access.permit(caller, Action::Pull, &path.place()).await?;
    let found = Release::by_version(hub.database.readers(), &path.publisher, &path.name, &version).await?;
    let found = found.ok_or_else(none)?;
    let is_seen = is_told(&found) || hub.access.permit(caller, Action::Inspect, &path.place()).await.is_ok();
    if is_seen { Ok(found) } else { Err(none()) }
}

/// A release, for what somebody wants to do with it, which knowing of it does not permit.
pub(super) async fn release_to(
    hub: &Arc<Hub>,
    caller: &Caller,
    (action, path): (Action, &ReleasePath),
) -> Result<Release, Refused> {
    permit(hub, caller, action, &path.package()).await?;
    release(hub, caller, path).await
}

/// Whether somebody may do that with a package. Whoever may yank what became of it may also warn of what it was.
pub(super) async fn permit(
    hub: &Arc<Hub>,
    caller: &Caller,
    action: Action,
    path: &PackagePath,
) -> Result<(), Refused> {
    let Err(denied) = hub.access.permit(caller, action, &path.place()).await else { return Ok(()) };
    let mut connection = hub.database.readers().acquire().await?;
    let moved = line::moved_to(&mut connection, &path.publisher, &path.name).await?;
    drop(connection);
    match moved.as_deref().and_then(Place::of).filter(|_| action == Action::Yank) {
        Some(place) => Ok(hub.access.permit(caller, action, &place).await?),
        None => Err(denied.into()),
    }
}

/// Releases of one package as lists show them, with what is known to be wrong.
pub(super) async fn told(hub: &Arc<Hub>, releases: &[Release]) -> Result<Vec<ReleaseView>, Refused> {
    let Some(first) = releases.first() else { return Ok(Vec::new()) };
    let known = advisories::of(hub.database.readers(), &first.package).await?;
    let about = |version: &Version| -> Vec<Advisory> {
        let about = known.iter().filter(|(range, _)| range.matches(version));
        about.map(|(_, advisory)| advisory.clone()).collect()
    };
    Ok(releases.iter().map(|release| view(release, about(&release.version))).collect())
}

fn view(release: &Release, advisories: Vec<Advisory>) -> ReleaseView {
    ReleaseView {
        version: release.version.clone(),
        digest: release.digest.clone(),
        state: release.state,
        reason: release.reason.clone(),
        pushed: rfc3339(release.pushed_ms),
        released: release.released_ms.map(rfc3339),
        // What it says of itself may be why.
        facts: release.facts.clone().filter(|_| release.state != State::TakenDown),
        signed_by: release.signed_by.clone(),
        pulls: u64::try_from(release.pulls).unwrap_or(0),
        advisories,
    }
}
