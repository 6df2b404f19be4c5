// SPDX-License-Identifier: Apache-2.0
//! What arrives, and what is turned away.

use futures_util::FutureExt as _;
use wire::hub::State;

use super::{Pushed, hub};
use crate::Hub;
use crate::packages::queue::check_one;
use crate::packages::state;

async fn refused(pushed: Pushed, hub: &Hub) -> String {
    pushed.arrive(hub).await.expect_err("it is turned away").to_string()
}

async fn take_to(hub: &Hub, pushed: &Pushed, states: &'static [State]) {
    let release = pushed.release(hub).await.id;
    let went = hub.database.write(move |connection| {
        async move {
            for next in states {
                assert!(state::go(connection, &release, *next, Some("words"), 1).await?, "{next}");
            }
            Ok::<_, sqlx::Error>(())
        }
        .boxed()
    });
    went.await.expect("a database");
}

#[tokio::test]
async fn a_version_is_never_used_again() {
    let hub = hub().await;
    let first = Pushed::version("1.0.0+a");
    first.arrive(&hub).await.expect("a first version");
    first.arrive(&hub).await.expect("the same once more says nothing new");
    let other = || Pushed { tag: Some("1.0.0_a".to_owned()), ..Pushed::version("other") };
    let why = refused(other(), &hub).await;
    assert!(why.starts_with("version 1.0.0+a of l3af/ratelimit was pushed as sha256:"), "{why}");
    take_to(&hub, &first, &[State::Deleted]).await;
    assert!(refused(other(), &hub).await.contains("is deleted"));
    assert!(
        refused(Pushed::version("1.0.0+a"), &hub).await.contains("is deleted"),
        "not even the same bytes"
    );
}

#[tokio::test]
async fn only_versions_are_tags() {
    let hub = hub().await;
    for tag in ["latest", "1.2", "v1.0.0"] {
        let pushed = Pushed { tag: Some(tag.to_owned()), ..Pushed::version("1.0.0") };
        assert!(refused(pushed, &hub).await.starts_with(&format!("`{tag}` is not a version")));
    }
}

#[tokio::test]
async fn what_comes_beside_it_has_a_release_checked_again_that_waits_for_changes() {
    let hub = hub().await;
    let pushed = Pushed::version("1.0.0");
    pushed.arrive(&hub).await.expect("welcome");
    take_to(&hub, &pushed, &[State::Checking, State::ChangesAsked]).await;
    let beside = Pushed::about(&pushed.digest().to_string());
    beside.arrive(&hub).await.expect("welcome");
    let release = pushed.release(&hub).await;
    assert_eq!((release.state, release.evidence), (State::Pending, 1));
}

#[tokio::test]
async fn rejected_bytes_are_refused_under_any_name() {
    let hub = hub().await;
    let pushed = Pushed::version("1.0.0");
    pushed.arrive(&hub).await.expect("welcome");
    let (release, digest) = (pushed.release(&hub).await.id, pushed.digest().to_string());
    let listed = digest.clone();
    let insert = hub.database.write(move |connection| {
        async move {
            let insert =
                "INSERT INTO rejected (digest, release, reason, rejected_ms) VALUES ($1, $2, 'it harms', 0)";
            sqlx::query(insert).bind(listed).bind(release).execute(connection).await
        }
        .boxed()
    });
    insert.await.expect("a database");
    let holder = Pushed {
        tag: Some("2.0.0".to_owned()),
        bytes: format!(r#"{{"manifests": [{{"digest": "{digest}"}}]}}"#),
    };
    let why = refused(holder, &hub).await;
    assert!(why.contains("was rejected") && why.ends_with("it harms"), "{why}");
}

#[tokio::test]
async fn what_is_no_package_is_told_so_by_the_checks() {
    let hub = hub().await;
    let pushed = Pushed::version("1.0.0");
    pushed.arrive(&hub).await.expect("welcome");
    assert!(check_one(&hub).await.expect("checked"));
    assert!(!check_one(&hub).await.expect("nothing waits"));
    let release = pushed.release(&hub).await;
    assert_eq!(release.state, State::ChangesAsked);
    assert_eq!(release.reason.as_deref(), Some("the checks failed: package"));
}
