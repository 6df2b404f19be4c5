// SPDX-License-Identifier: Apache-2.0
//! Packages that go to others, and what is taken down and back in any order.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::FutureExt as _;
use proptest::prelude::*;
use sqlx::AnyConnection;

use super::{Pushed, TestHub, hub};
use crate::packages::takedown::{self, Class, NewTakedown};
use crate::packages::transfer::{self, Move};
use crate::packages::untransferred::Untransferred;
use crate::{Algorithm, ContentDigest, Hub, Namespace};

const DAY_MS: i64 = 86_400_000;

fn digest(name: &str) -> String {
    ContentDigest::of(Algorithm::Sha256, name.as_bytes()).to_string()
}

async fn release(hub: &Hub, pushed: &Pushed) {
    pushed.arrive(hub).await.expect("it is welcome");
    let id = pushed.release(hub).await.id;
    let set = "UPDATE releases SET state = 'released', released_ms = 1 WHERE id = $1";
    let released = hub.database.write(move |connection| {
        async move { sqlx::query(set).bind(id).execute(connection).await.map(drop) }.boxed()
    });
    released.await.expect("a database");
}

async fn accept(hub: &Hub, id: &str, now_ms: i64) -> Result<(), Untransferred> {
    let id = id.to_owned();
    let accepted = hub.database.write(move |connection| {
        async move { transfer::accept(connection, &id, ("ben", now_ms)).await }.boxed()
    });
    accepted.await.map(drop)
}

#[tokio::test]
async fn an_offer_is_good_for_fourteen_days_and_an_old_name_for_what_was_released() {
    let hub = hub().await;
    hub.add_publisher(&"acme".parse().expect("a name"), Namespace::Packages).await.expect("a publisher");
    release(&hub, &Pushed::version("1.0.0")).await;
    let offered = hub.database.write(|connection| {
        async move {
            let [publisher, name, to, new_name] = ["l3af", "ratelimit", "acme", "slow"].map(str::to_owned);
            let wanted = Move { publisher, name, to, new_name };
            transfer::offer(connection, &wanted, ("anna", 0)).await
        }
        .boxed()
    });
    let offered = offered.await.expect("it is there to be offered").id;
    let late = accept(&hub, &offered, 14 * DAY_MS).await.expect_err("it is too late");
    assert!(matches!(&late, Untransferred::Over { state } if state == "expired"), "{late}");
    accept(&hub, &offered, 14 * DAY_MS - 1).await.expect("it is in time");
    let refused = Pushed::version("1.1.0").arrive(&hub).await.expect_err("it goes on elsewhere");
    assert_eq!(refused.to_string(), "l3af/ratelimit became acme/slow: push new versions there");
    Pushed::version("1.0.0").arrive(&hub).await.expect_err("also what is there already");
}

/// What each release needs.
const NEEDS: [(&str, [&str; 2]); 2] = [("a", ["x", "y"]), ("b", ["y", "z"])];

/// Two releases that share a manifest, as they are when both are public.
async fn fill(connection: &mut AnyConnection) -> sqlx::Result<()> {
    let run = |statement: &'static str| sqlx::query(statement);
    let repository =
        "INSERT INTO repositories (id, publisher, name, public, created_ms) VALUES ('r', 'l3af', 'p', 1, 0)";
    run(repository).execute(&mut *connection).await?;
    let package = "INSERT INTO packages (id, publisher, name, created_ms) VALUES ('p', 'l3af', 'p', 0)";
    run(package).execute(&mut *connection).await?;
    for name in ["a", "b", "x", "y", "z"] {
        let blob = "INSERT INTO blobs (digest, size, touched_ms) VALUES ($1, 1, 0)";
        run(blob).bind(digest(name)).execute(&mut *connection).await?;
        let manifest = "INSERT INTO manifests (repository, digest, media_type, visible, pushed_ms) VALUES ('r', $1, 'm', 1, 0)";
        run(manifest).bind(digest(name)).execute(&mut *connection).await?;
    }
    for (version, (index, needs)) in ["1.0.0", "2.0.0"].into_iter().zip(NEEDS) {
        for need in needs {
            let insert = "INSERT INTO needs (repository, manifest, digest) VALUES ('r', $1, $2)";
            run(insert).bind(digest(index)).bind(digest(need)).execute(&mut *connection).await?;
        }
        let release = "INSERT INTO releases (id, package, version, repository, digest, state, pushed_ms, changed_ms, released_ms) \
                       VALUES ($1, 'p', $2, 'r', $3, 'released', 0, 0, 0)";
        run(release).bind(index).bind(version).bind(digest(index)).execute(&mut *connection).await?;
    }
    Ok(())
}

async fn visible(hub: &Hub) -> BTreeSet<&'static str> {
    let seen = sqlx::query_scalar("SELECT digest FROM manifests WHERE visible = 1");
    let seen: Vec<String> = seen.fetch_all(hub.database.readers()).await.expect("read");
    ["a", "b", "x", "y", "z"].into_iter().filter(|name| seen.contains(&digest(name))).collect()
}

async fn take(hub: &Hub, what: &'static str) -> String {
    let version = match what {
        "a" => Some("1.0.0".parse().expect("a version")),
        "b" => Some("2.0.0".parse().expect("a version")),
        _ => None,
    };
    let (publisher, name) = ("l3af".parse().expect("a name"), "p".parse().expect("a name"));
    let named = version.is_some().then_some((publisher, name));
    let new = NewTakedown {
        digest: version.is_none().then(|| digest(what)),
        publisher: named.as_ref().map(|(publisher, _)| publisher).cloned(),
        name: named.map(|(_, name)| name),
        version,
        class: Class::Abuse,
        reason: "why".to_owned(),
        erase_after_days: None,
        report: None,
    };
    let taken = hub.database.write(move |connection| {
        async move { takedown::take(connection, &new, &[], ("boss", 1)).await }.boxed()
    });
    taken.await.expect("it is taken down").id
}

async fn lift(hub: &Hub, id: String) {
    let lifted = hub
        .database
        .write(move |connection| async move { takedown::lift(connection, &id, ("boss", 2)).await }.boxed());
    lifted.await.expect("it is taken back");
}

/// What readers see while these are taken down: all of a release that is whole, but for what is withheld itself.
fn expected(taken: &BTreeMap<usize, (&'static str, String)>) -> BTreeSet<&'static str> {
    let down: BTreeSet<&str> = taken.values().map(|(what, _)| *what).collect();
    // What only one release needs goes with it, also from the other.
    let alone = |index: &str, need: &str| {
        !NEEDS.iter().any(|(other, needs)| *other != index && needs.contains(&need))
    };
    let withheld = |name: &str| {
        down.contains(name)
            || NEEDS
                .iter()
                .any(|(index, needs)| down.contains(index) && needs.contains(&name) && alone(index, name))
    };
    let whole = NEEDS
        .iter()
        .filter(|(index, needs)| !down.contains(index) && !needs.iter().any(|need| down.contains(need)));
    let reached = whole.flat_map(|(index, needs)| needs.iter().chain(std::iter::once(index)));
    reached.copied().filter(|name| !withheld(name)).collect()
}

async fn follow(hub: &TestHub, steps: Vec<(usize, bool)>) {
    hub.database.write(|connection| fill(connection).boxed()).await.expect("filled");
    let mut taken: BTreeMap<usize, (&'static str, String)> = BTreeMap::new();
    for (at, (which, is_lifted)) in steps.into_iter().enumerate() {
        let what = ["a", "b", "x", "y", "z"][which];
        if is_lifted {
            if let Some((_, (_, id))) = taken.pop_first() {
                lift(hub, id).await;
            }
        } else {
            taken.insert(at, (what, take(hub, what).await));
        }
        assert_eq!(visible(hub).await, expected(&taken), "{taken:?}");
    }
    while let Some((_, (_, id))) = taken.pop_first() {
        lift(hub, id).await;
    }
    assert_eq!(visible(hub).await.len(), 5, "nothing is lost");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn readers_see_what_no_takedown_withholds(steps in proptest::collection::vec((0_usize..5, any::<bool>()), 1..10)) {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        runtime.block_on(async { follow(&hub().await, steps).await });
    }
}
