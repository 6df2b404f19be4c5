// SPDX-License-Identifier: Apache-2.0
//! Searches over SQLite in a folder.

use futures_util::FutureExt as _;
use wire::hub::{Cost, Facts, Stars, State, Wanted};

use super::{counted, facets, find, index, renew, values};
use crate::Hub;
use crate::packages::tests::{TestHub, hub, release};

/// Puts a package into the tables as releasing it does, and indexes it.
async fn put(hub: &Hub, name: &str, pulls: i64, change: impl FnOnce(&mut Facts)) {
    let mut facts = release("1.0.0", "5.10", State::Released).facts.expect("it has some");
    change(&mut facts);
    let (name, facts) = (name.to_owned(), serde_json::to_string(&facts).expect("JSON"));
    let done = hub.database.write(move |connection| {
        async move {
            let rows = [
                "INSERT INTO repositories (id, publisher, name, public, created_ms) VALUES ($1, 'l3af', $1, 1, 0)",
                "INSERT INTO packages (id, publisher, name, created_ms) VALUES ($1, 'l3af', $1, 0)",
            ];
            for row in rows {
                sqlx::query(row).bind(&name).execute(&mut *connection).await?;
            }
            let update = sqlx::query("UPDATE packages SET pulls = $2 WHERE id = $1").bind(&name).bind(pulls);
            update.execute(&mut *connection).await?;
            let insert = "INSERT INTO releases (id, package, version, repository, digest, state, pushed_ms, changed_ms, \
                          released_ms, facts) VALUES ($1, $1, '1.0.0', $1, $1, 'released', 0, 0, 0, $2)";
            sqlx::query(insert).bind(&name).bind(facts).execute(&mut *connection).await?;
            index(connection, &name).await
        }
        .boxed()
    });
    done.await.expect("a database");
}

async fn change(hub: &Hub, package: &'static str, update: &'static str) {
    let done = hub.database.write(move |connection| {
        async move {
            sqlx::query(update).bind(package).execute(&mut *connection).await?;
            index(connection, package).await
        }
        .boxed()
    });
    done.await.expect("a database");
}

async fn found(hub: &TestHub, wanted: Wanted) -> Vec<String> {
    let found = find(&hub.database, &wanted).await.expect("a database");
    found.packages.into_iter().map(|package| package.name).collect()
}

fn words(q: &str) -> Wanted {
    Wanted { q: q.to_owned(), ..Wanted::default() }
}

#[tokio::test]
async fn the_exact_name_comes_first_then_what_people_pull() {
    let hub = hub().await;
    put(&hub, "limit-egress", 10, |_| ()).await;
    put(&hub, "limit-ingress", 1_000_000, |_| ()).await;
    put(&hub, "limit", 0, |_| ()).await;
    put(&hub, "other", 1_000_000_000, |facts| facts.description = "Has no limit".to_owned()).await;
    assert_eq!(found(&hub, words("limit")).await, ["limit", "limit-ingress", "other", "limit-egress"]);
    assert_eq!(found(&hub, words("limit egress")).await, ["limit-egress"]);
    assert_eq!(found(&hub, words("limitegress")).await, ["limit-egress"]);
}

#[tokio::test]
async fn pages_are_one_list_in_pieces() {
    let hub = hub().await;
    for (number, pulls) in [3, 50, 3, 7, 900, 3, 1, 20_000, 3].into_iter().enumerate() {
        let name = if number % 2 == 0 { format!("limit-{number}") } else { format!("shaper-{number}") };
        put(&hub, &name, pulls, |facts| facts.description = "Keeps rates below a limit".to_owned()).await;
    }
    for q in ["", "limit", "rates"] {
        let whole = found(&hub, words(q)).await;
        let (mut pieces, mut next) = (Vec::new(), Some(None));
        while let Some(after) = next {
            let wanted = Wanted { limit: Some(2), after, ..words(q) };
            let page = find(&hub.database, &wanted).await.expect("a database");
            pieces.extend(page.packages.into_iter().map(|package| package.name));
            next = page.next.map(Some);
        }
        assert_eq!(pieces, whole, "`{q}`");
        assert_eq!(whole.len(), 9, "`{q}`: all are about limits and rates");
    }
}

#[tokio::test]
async fn a_mistake_is_forgiven_only_where_no_package_has_the_word() {
    let hub = hub().await;
    put(&hub, "shaper", 0, |_| ()).await;
    put(&hub, "sharper", 0, |_| ()).await;
    assert_eq!(found(&hub, words("shaper")).await, ["shaper"]);
    assert_eq!(found(&hub, words("shaepr")).await, ["shaper"]);
    let wrong = find(&hub.database, &words("shxper")).await.expect("a database");
    assert_eq!(wrong.corrected["shxper"], ["shaper"]);
    assert!(found(&hub, words("somethingelse")).await.is_empty());
}

#[tokio::test]
async fn facets_hold_together() {
    let hub = hub().await;
    put(&hub, "one", 0, |facts| facts.kernel_min = "6.6".parse().expect("a kernel")).await;
    put(&hub, "two", 0, |facts| facts.license = "GPL-2.0-only OR MIT".to_owned()).await;
    let kernel = |kernel: &str| Wanted { kernel: Some(kernel.to_owned()), ..words("limits") };
    assert_eq!(found(&hub, kernel("6.1")).await, ["two"]);
    assert_eq!(found(&hub, kernel("6.12")).await.len(), 2);
    assert!(found(&hub, kernel("4.4")).await.is_empty());
    let license = Some("GPL-2.0-only".to_owned());
    assert_eq!(found(&hub, Wanted { license, hook: Some("xdp".to_owned()), ..words("") }).await, ["two"]);
    let kernels = values(hub.database.readers(), "kernel").await.expect("a database");
    assert_eq!(kernels.iter().map(|value| value.packages).sum::<u64>(), 2);
}

#[tokio::test]
async fn packages_are_found_by_what_they_cost_and_what_people_think() {
    let hub = hub().await;
    for (name, stars) in [("bad", "1"), ("good", "5"), ("new", "0")] {
        put(&hub, name, 0, |_| ()).await;
        if stars != "0" {
            rate(&hub, name, stars).await;
        }
    }
    change(&hub, "good", r#"UPDATE packages SET price = '{"amount":"1","currency":"EUR","per":"once","link":"https://a.example/"}' WHERE id = $1"#).await;
    let rated = |stars: u8| Wanted { rating: Stars::try_from(stars).ok(), ..words("") };
    assert_eq!(
        (found(&hub, rated(1)).await.len(), found(&hub, rated(5)).await),
        (2, vec!["good".to_owned()])
    );
    let costs = |price| Wanted { price: Some(price), ..words("limits") };
    assert_eq!(found(&hub, costs(Cost::Free)).await.len(), 2);
    let paid = find(&hub.database, &costs(Cost::Paid)).await.expect("a database").packages;
    let told = (
        paid[0].rating.map(|rating| (rating.stars, rating.people)),
        paid[0].price.as_ref().map(ToString::to_string),
    );
    assert_eq!(told, (Some((5.0, 1)), Some("1 EUR".to_owned())));
}

async fn rate(hub: &Hub, package: &'static str, stars: &'static str) {
    let done = hub.database.write(move |connection| {
        async move {
            let account = "INSERT INTO accounts (id, handle, name, role, created_ms) VALUES ('one', 'one', '', 'reader', 0) \
                           ON CONFLICT (id) DO NOTHING";
            sqlx::query(account).execute(&mut *connection).await?;
            let insert = "INSERT INTO ratings (package, account, stars, rated_ms) VALUES ($1, 'one', $2, 0)";
            let stars: i64 = stars.parse().expect("a number");
            sqlx::query(insert).bind(package).bind(stars).execute(&mut *connection).await?;
            index(connection, package).await
        }
        .boxed()
    });
    done.await.expect("a database");
}

#[tokio::test]
async fn an_index_of_an_earlier_version_is_made_anew() {
    let hub = hub().await;
    put(&hub, "one", 0, |_| ()).await;
    let forget = [
        "UPDATE search_facets SET packages = 0",
        "UPDATE search_documents SET facets = ''",
        "UPDATE search_serial SET form = 0",
    ];
    for update in forget {
        let done = hub.database.write(move |connection| sqlx::query(update).execute(connection).boxed());
        done.await.expect("a database");
    }
    renew(&hub.database).await.expect("a database");
    let free = values(hub.database.readers(), "price").await.expect("a database");
    assert_eq!((free.len(), free[0].packages), (1, 1));
}

#[tokio::test]
async fn facets_are_counted_in_what_is_found() {
    let hub = hub().await;
    put(&hub, "limit-egress", 0, |facts| facts.license = "MIT".to_owned()).await;
    put(&hub, "limit-ingress", 0, |facts| facts.license = "MIT".to_owned()).await;
    put(&hub, "shaper", 0, |facts| facts.license = "GPL-2.0-only".to_owned()).await;
    let licenses = |wanted: Wanted| {
        let hub = &hub;
        async move {
            let found = facets(&hub.database, &wanted).await.expect("a database");
            let of_it = found.facets.into_iter().find(|facet| facet.name == "license").expect("a choice");
            let values = of_it.values.into_iter().map(|value| format!("{} {}", value.packages, value.name));
            (found.packages, found.whole, values.collect::<Vec<_>>().join(", "))
        }
    };
    let all = (3, true, "2 MIT, 1 GPL-2.0-only".to_owned());
    assert_eq!(licenses(words("")).await, all);
    let xdp = Wanted { hook: Some("xdp".to_owned()), ..words("") };
    assert_eq!(licenses(xdp).await, all);
    assert_eq!(licenses(words("limit")).await, (2, true, "2 MIT".to_owned()));
    assert_eq!(licenses(words("shaepr")).await, (1, true, "1 GPL-2.0-only".to_owned()));
    assert_eq!(licenses(words("nothinglikethat")).await, (0, true, String::new()));
    let best = counted(&hub.database, &words("limit"), 1).await.expect("a database");
    assert_eq!((best.packages, best.whole), (1, false));
    let mended = facets(&hub.database, &words("shaepr")).await.expect("a database");
    assert_eq!(mended.corrected["shaepr"], ["shaper"]);
}

#[tokio::test]
async fn what_is_yanked_or_private_is_not_found() {
    let hub = hub().await;
    put(&hub, "one", 0, |_| ()).await;
    put(&hub, "two", 0, |_| ()).await;
    change(&hub, "one", "UPDATE releases SET state = 'yanked' WHERE id = $1").await;
    change(&hub, "two", "UPDATE repositories SET public = 0 WHERE id = $1").await;
    assert!(found(&hub, words("")).await.is_empty());
    assert!(values(hub.database.readers(), "hook").await.expect("a database").is_empty());
    change(&hub, "one", "UPDATE releases SET state = 'released' WHERE id = $1").await;
    assert_eq!(found(&hub, words("limits")).await, ["one"]);
}
