// SPDX-License-Identifier: Apache-2.0
//! Two hubs over one PostgreSQL and one storage are one registry.

use std::thread;

use it::{Hub, Postgres};
use serde_json::json;

use super::{IMAGE, Repository, described, digest};

/// What hubs are told that remove soon what nobody needs.
const HASTY: &str = "[sweep]\nevery_seconds = 1\ngrace_seconds = 2\nstrays_every_seconds = 0\n";

/// What a hub is told whose rows are in a database.
fn settings(database: &Postgres, sweep: &str) -> String {
    format!("database = '{}'\n{sweep}", database.url())
}

/// Two hubs that sweep so.
fn both(database: &Postgres, sweep: &str) -> (Hub, Hub) {
    let one = Hub::start_with(&settings(database, sweep)).unwrap();
    one.add_registry("free").unwrap();
    let other = one.replica().unwrap();
    (one, other)
}

#[test]
fn what_one_hub_acknowledged_the_other_has_at_once() {
    let database = Postgres::start().unwrap();
    let (mut one, other) = both(&database, "");
    let (here, there) =
        (Repository { hub: &one, name: "free/a" }, Repository { hub: &other, name: "free/a" });
    let image = here.image("sha512", 1);
    // An upload goes on at the other.
    let bytes = super::some_bytes(9, 20);
    let mut upload = here.begin();
    assert_eq!(upload.piece("0-9", &bytes[..10]).status, 202);
    upload.hub = &other;
    assert_eq!(upload.range(), "0-9");
    assert_eq!(upload.end(&digest("sha256", &bytes)).body(&bytes[10..]).send().unwrap().status, 201);
    assert_eq!(here.get(&format!("blobs/{}", digest("sha256", &bytes))).body, bytes);

    let subject = there.push_manifest("sha512", Some("one&tag=B&tag=a"), &image);
    let about = there.about("sha512", &described("sha512", &image), "application/vnd.example");
    let about = there.push_manifest("sha512", None, &about);
    assert_eq!(here.get("manifests/one").text(), image.to_string());
    assert_eq!(here.get("tags/list").json().unwrap()["tags"], json!(["B", "a", "one"]), "by their bytes");
    let listed =
        here.get(&format!("referrers/{subject}?artifactType=application/vnd.example")).json().unwrap();
    assert_eq!(listed["manifests"][0]["digest"], json!(about));
    let elsewhere = Repository { hub: &other, name: "free/b" };
    let mount = format!("blobs/uploads/?mount={}&from=free/a", digest("sha256", &bytes));
    assert_eq!(elsewhere.ask("POST", &mount).body("").send().unwrap().status, 201);
    assert_eq!(here.delete(&format!("manifests/{subject}")).status, 202);
    for gone in [&subject, &about] {
        assert_eq!(there.get(&format!("manifests/{gone}")).status, 404);
    }
    one.settings = settings(&database, HASTY);
    one.restart().unwrap();
    let catalog = || one.get("/v2/_catalog").unwrap().json().unwrap()["repositories"].clone();
    one.wait("repositories with nothing in them go", || catalog() == json!([]));
    one.administer(&["check"]).unwrap().success().unwrap();
}

#[test]
fn hubs_that_race_for_tags_and_blobs_while_both_sweep_lose_nothing() {
    const ROUNDS: usize = 20;
    let database = Postgres::start().unwrap();
    let (one, other) = both(&database, HASTY);
    let images: Vec<String> = (0..4)
        .map(|seed| Repository { hub: &one, name: "free/race" }.image("sha256", seed).to_string())
        .collect();
    thread::scope(|scope| {
        for (number, image) in images.iter().enumerate() {
            let here = Repository { hub: if number % 2 == 0 { &one } else { &other }, name: "free/race" };
            scope.spawn(move || {
                (0..ROUNDS).for_each(|_| push_and_read(&here, u8::try_from(number).unwrap(), image));
            });
        }
    });
    let last = |hub| {
        let here = Repository { hub, name: "free/race" };
        ["moving", "a", "b"].map(|tag| here.get(&format!("manifests/{tag}")).text())
    };
    assert_eq!(last(&one), last(&other));
    assert!(
        last(&one).iter().all(|text| *text == last(&one)[0] && images.contains(text)),
        "the last push moved all tags"
    );
    one.administer(&["check"]).unwrap().success().unwrap();
}

/// Moves all tags to an image, and reads what one of them says then.
fn push_and_read(here: &Repository<'_>, seed: u8, image: &str) {
    // All push the same blobs besides their own.
    here.image("sha256", 0);
    let put = here.put_manifest("moving?tag=a&tag=b", IMAGE, image.as_bytes());
    if put.status != 201 {
        // The grace is short on a slow machine.
        assert_eq!(put.code(), "MANIFEST_BLOB_UNKNOWN", "{}", put.text());
        here.image("sha256", seed);
        return;
    }
    let got = here.get("manifests/moving");
    assert_eq!(got.header("docker-content-digest"), Some(digest("sha256", &got.body).as_str()));
}
