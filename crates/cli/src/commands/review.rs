// SPDX-License-Identifier: Apache-2.0
//! `l3af review` and `l3af yank`: what becomes of releases in a hub.

use std::fs;

use jiff::Timestamp;
use package::Digest;
use serde_json::json;
use trust::{Envelope, PAYLOAD_TYPE, ReviewDecision, Sign, Statement};
use wire::hub::{NewReview, ReviewKeyView, ReviewView, Waiting as Waits};

use super::hub::{client, tell, version, wait};
use crate::arguments::hub::{AddKey, Comment, Decided, Hub, Listed, RemoveKey, Review, Shown, Yank};
use crate::failure::{Failure, Outcome};
use crate::output;
use crate::signing_key::{self, Passphrase};

/// Fewer digits of a key somebody may have typed by mistake.
const SHORTEST_KEY: usize = 8;

pub(crate) fn run(command: &Review, environment: Option<&Passphrase>) -> Outcome {
    match command {
        Review::Waiting(arguments) => waiting(arguments),
        Review::Show(arguments) => show(arguments),
        Review::Approve(arguments) => decide(arguments, ReviewDecision::Approve, environment),
        Review::Reject(arguments) => decide(arguments, ReviewDecision::Reject, environment),
        Review::Changes(arguments) => decide(arguments, ReviewDecision::Changes, environment),
        Review::Comment(arguments) => comment(arguments),
        Review::Key(arguments) => add_key(arguments),
        Review::Keys(arguments) => keys(arguments),
        Review::RemoveKey(arguments) => remove_key(arguments),
    }
}

fn waiting(arguments: &Listed) -> Outcome {
    let waits = wait(client(&arguments.hub.hub, &arguments.hub.logins)?.waiting())?;
    if arguments.json {
        return output::json(&waits);
    }
    let row = |waits: &Waits| {
        let package = format!("{}/{}", waits.publisher, waits.name);
        let approvals = format!("{} of {}", waits.approvals, waits.needed);
        vec![package, waits.version.clone(), approvals, waits.pushed.clone()]
    };
    let head = ["package", "version", "approvals", "pushed"];
    output::data(&output::table(&head, waits.iter().map(row).collect()));
    Ok(())
}

fn show(arguments: &Shown) -> Outcome {
    let (repository, version) = (&arguments.release.repository, version(&arguments.release)?);
    let hub = client(repository.host(), &arguments.logins)?;
    let (release, checks, reviews) = wait(async {
        let release = hub.release(repository, &version).await?;
        let checks = hub.checks(repository, &version).await?;
        Ok((release, checks, hub.reviews(repository, &version).await?))
    })?;
    if arguments.json {
        return output::json(&json!({ "release": release, "checks": checks, "reviews": reviews }));
    }
    tell(&checks);
    let row = |review: &ReviewView| {
        let ReviewView { reviewer, decision, at, text, .. } = review;
        vec![reviewer.clone(), decision.to_string(), at.clone(), text.clone()]
    };
    let head = ["reviewer", "decision", "at", "text"];
    output::note(&output::table(&head, reviews.iter().map(row).collect()));
    output::data(&format!("{} {} {}", release.version, release.state, release.digest));
    Ok(())
}

fn decide(arguments: &Decided, decision: ReviewDecision, environment: Option<&Passphrase>) -> Outcome {
    let (repository, version) = (&arguments.release.repository, version(&arguments.release)?);
    let hub = client(repository.host(), &arguments.logins)?;
    let told: Digest = wait(hub.release(repository, &version))?.digest.parse()?;
    if let Some(meant) = arguments.release.digest.filter(|meant| *meant != told) {
        return Err(Failure::new(format!("{version} is {told} at the hub, not {meant}"))
            .with_hint("look at what the hub has before you decide"));
    }
    let keys = signing_key::open_all(&arguments.keys, environment)?;
    let keys: Vec<&dyn Sign> = keys.iter().map(Box::as_ref).collect();
    let (publisher, package) = repository.path().split_once('/').unwrap_or_default();
    let review = trust::Review {
        publisher: publisher.parse()?,
        package: package.parse()?,
        version: version.clone(),
        release: told,
        decision,
        text: arguments.text.clone(),
        created: Timestamp::from_second(Timestamp::now().as_second())?,
    };
    let envelope = Envelope::sign(PAYLOAD_TYPE, Statement::from(review).to_json(), &keys)?;
    let envelope = Some(serde_json::from_slice(&envelope.to_json())?);
    wait(hub.review(repository, &version, &NewReview { envelope, comment: None }))?;
    let now = wait(hub.release(repository, &version))?;
    output::note(&format!("{} {} is {}", repository.path(), version, now.state));
    output::data(&now.digest);
    Ok(())
}

fn comment(arguments: &Comment) -> Outcome {
    let (repository, version) = (&arguments.release.repository, version(&arguments.release)?);
    let hub = client(repository.host(), &arguments.logins)?;
    let said = NewReview { envelope: None, comment: Some(arguments.text.clone()) };
    wait(hub.review(repository, &version, &said))
}

fn add_key(arguments: &AddKey) -> Outcome {
    let file = &arguments.file;
    let pem = fs::read_to_string(file)
        .map_err(|error| Failure::new(format!("cannot read `{}`: {error}", file.display())))?;
    wait(client(&arguments.hub.hub, &arguments.hub.logins)?.add_review_key(pem))?;
    output::note("the hub takes decisions that are signed with it");
    Ok(())
}

fn keys(arguments: &Listed) -> Outcome {
    let keys = wait(client(&arguments.hub.hub, &arguments.hub.logins)?.review_keys())?;
    if arguments.json {
        return output::json(&keys);
    }
    let row = |key: &ReviewKeyView| vec![key.key.clone(), key.added.clone()];
    output::data(&output::table(&["key", "added"], keys.iter().map(row).collect()));
    Ok(())
}

fn remove_key(arguments: &RemoveKey) -> Outcome {
    let RemoveKey { key, hub: Hub { hub, logins } } = arguments;
    if key.len() < SHORTEST_KEY {
        return Err(Failure::new(format!("`{key}` may be many keys: give {SHORTEST_KEY} digits at least"))
            .with_hint(format!("`l3af review keys --hub {hub}` lists them")));
    }
    let client = client(hub, logins)?;
    let keys = wait(client.review_keys())?;
    let meant: Vec<&ReviewKeyView> =
        keys.iter().filter(|known| known.key.starts_with(key.as_str())).collect();
    let [meant] = meant[..] else {
        let why = format!("{} of your {} keys at `{hub}` begin with `{key}`", meant.len(), keys.len());
        return Err(Failure::new(why).with_hint(format!("`l3af review keys --hub {hub}` lists them")));
    };
    wait(client.remove_review_key(&meant.key))?;
    output::note(&format!(
        "the hub takes no decisions any more that `{}` signs; what it decided stays: say `l3af review changes` of what waits and is not yours",
        meant.key
    ));
    Ok(())
}

pub(crate) fn yank(arguments: &Yank) -> Outcome {
    let (repository, version) = (&arguments.release.repository, version(&arguments.release)?);
    let hub = client(repository.host(), &arguments.logins)?;
    match &arguments.reason {
        Some(reason) => wait(hub.yank(repository, &version, reason.clone())),
        None => wait(hub.unyank(repository, &version)),
    }
}
