// SPDX-License-Identifier: Apache-2.0
//! `l3af push`: puts a package, and what refers to it, into a registry, and waits for the checks where that is a hub.

use std::time::Duration;

use package::{Package, Referrer, ReferrerKind};
use serde_json::json;
use wire::hub::{Checks, State};
use wire::{Layout, Reference, Repository, Tag};

use super::hub;
use crate::arguments::Push;
use crate::failure::{Failure, Outcome};
use crate::output;
use crate::package_source::registry;
use crate::progress::{Reader, watch};

/// How often a hub is asked whether its checks have run.
const PERIOD: Duration = Duration::from_millis(250);

pub(crate) fn run(arguments: &Push) -> Outcome {
    let layout = Layout::open(&arguments.package)?;
    let package = Package::read(&layout, &layout.index()?)?;
    let reference = &arguments.reference;
    if reference.digest.is_some_and(|digest| digest != package.index) {
        let problem = format!("the package is not `{reference}`: its digest is {}", package.index);
        return Err(Failure::new(problem).with_hint("leave the digest out; it follows from the package"));
    }
    let tag = match &reference.tag {
        Some(tag) => tag.clone(),
        // Tags have no `+`.
        None => package.manifest.package.version.to_string().replace('+', "_").parse::<Tag>()?,
    };
    let (registry, descriptor) = (registry(&arguments.logins)?, layout.package()?);
    let mut referrers = Vec::new();
    for kind in ReferrerKind::ALL {
        referrers.extend(layout.referrers(kind)?.into_iter().map(|bytes| Referrer { kind, bytes }));
    }
    let repository = &reference.repository;
    watch(&registry, ("pushing", Reader::of(arguments.json)), async {
        registry.push(repository, &tag, &package.index, &layout).await?;
        for referrer in &referrers {
            registry.push_referrer(repository, &descriptor, referrer).await?;
        }
        Ok(())
    })?;
    let statements = referrers.iter().filter(|referrer| referrer.kind == ReferrerKind::Statement).count();
    let checks = if arguments.no_wait { None } else { checked(repository, &package, arguments)? };
    let (repository, digest) = (repository.clone(), Some(package.index));
    let uri = Reference { repository, tag: Some(tag), digest }.uri();
    if arguments.json {
        output::json(&json!({"reference": uri, "statements": statements, "checks": checks}))?;
    } else {
        output::note(&format!("pushed with {statements} statements"));
        if let Some(checks) = &checks {
            hub::tell(checks);
            output::note(what_follows(checks.state));
        }
        output::data(&uri);
    }
    match checks.and_then(|checks| checks.reason) {
        Some(reason) => {
            Err(Failure::new(reason)
                .with_hint("mend what was found; bytes that differ need the next version"))
        }
        None => Ok(()),
    }
}

/// What is to be done for a release that got to a state.
fn what_follows(state: State) -> &'static str {
    match state {
        State::Pending | State::Checking => "it waits for its checks",
        State::Review => "it waits for reviewers, who see it in `l3af review waiting`",
        State::ChangesAsked => "it waits for changes",
        State::Released => "it is released: everybody can have it",
        State::Rejected => "it was rejected",
        State::Yanked => "it is yanked: only who names it gets it",
        State::Deleted => "it was deleted",
        State::TakenDown => "an administrator took it down",
    }
}

/// What the checks of a hub found, once they have run; none where it was pushed to some other registry.
fn checked(repository: &Repository, package: &Package, arguments: &Push) -> Result<Option<Checks>, Failure> {
    let hub = hub::client(repository.host(), &arguments.logins)?;
    let version = &package.manifest.package.version;
    hub::wait(async {
        if hub.instance().await?.is_none() {
            return Ok(None);
        }
        loop {
            let checks = match hub.checks(repository, version).await {
                // A namespace that is an ordinary registry has no releases.
                Err(error) if error.is_missing() => return Ok(None),
                checks => checks?,
            };
            if !matches!(checks.state, State::Pending | State::Checking) {
                return Ok(Some(checks));
            }
            tokio::time::sleep(PERIOD).await;
        }
    })
}
