// SPDX-License-Identifier: Apache-2.0
//! What packages cost, and what people think of them.

use it::Postgres;
use serde_json::{Value, json};

use super::{Scene, version};

/// A hub with `steady` in it, and with people who have nothing to do with its publisher.
fn scene(settings: &str) -> Scene {
    let scene = Scene::new(&format!("{settings}[review]\napprovals = 0\n"));
    assert_eq!(scene.push(&version("1.0.0"), "steady")["state"], "released");
    scene.person("carl", "reader");
    scene
}

fn call(scene: &Scene, who: &str, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
    let authorization = if who.is_empty() { String::new() } else { scene.token(who) };
    let path = format!("/api/v1/packages/l3af/steady/{path}");
    let reply = scene.hub.call(&authorization, method, &path, body).unwrap();
    (reply.status, reply.json().unwrap_or_default())
}

fn found(scene: &Scene, query: &str) -> usize {
    scene.read(None, &format!("packages?{query}")).1["packages"].as_array().unwrap().len()
}

#[test]
fn people_rate_a_package_once_each_and_not_their_own() {
    rate_in(&scene(""));
}

#[test]
fn people_rate_packages_in_postgresql_alike() {
    let postgres = Postgres::start().unwrap();
    rate_in(&scene(&format!("database = '{}'\n", postgres.url())));
}

fn rate_in(scene: &Scene) {
    let rate = |who: &str, stars: u64| call(scene, who, "PUT", "rating", Some(&json!({ "stars": stars })));
    assert_eq!(rate("", 5).0, 401);
    let (status, own) = rate("anna", 5);
    assert!(status == 403 && own["title"].as_str().unwrap().contains("own-rating"), "{own:#}");
    for stars in [0, 6] {
        assert_eq!(rate("carl", stars).0, 422);
    }
    assert_eq!(call(scene, "carl", "GET", "rating", None).0, 404);
    assert_eq!(found(scene, "rating=1"), 0);
    assert_eq!(rate("carl", 2), (200, json!({ "stars": 2.0, "people": 1 })));
    assert_eq!(rate("rita", 5), (200, json!({ "stars": 3.5, "people": 2 })));
    assert_eq!(rate("carl", 4), (200, json!({ "stars": 4.5, "people": 2 })), "only the last one counts");
    assert_eq!(call(scene, "carl", "GET", "rating", None).1, json!({ "stars": 4 }));
    assert_eq!((found(scene, "q=steady&rating=4"), found(scene, "rating=5")), (1, 0));
    let (_, shown) = scene.read(None, "packages/l3af/steady");
    assert_eq!(shown["rating"], json!({ "stars": 4.5, "people": 2 }));

    let package = scene.hub.reference("l3af/steady");
    scene.l3af("carl", &["rate", &package, "--undo"]);
    let told = scene.l3af("carl", &["search", "steady", "--rating", "5", "--hub", &scene.host()]);
    assert!(told.contains("5.00 (1)"), "{told}");
    let told = scene.ran("carl", &["rate", &package, "1"]);
    assert!(told.ok && told.stderr.contains("3.00 (2)"), "{}", told.stderr);
    scene.hub.administer(&["account", "close", "rita"]).unwrap().success().unwrap();
    assert_eq!(scene.read(None, "packages/l3af/steady").1["rating"], json!({ "stars": 1.0, "people": 1 }));
    assert_eq!(found(scene, "rating=2"), 0);
    let refused = scene.ran("carl", &["rate", &format!("{package}:1.0.0"), "1"]);
    assert!(refused.stderr.contains("names a version"), "{}", refused.stderr);
    let refused = scene.ran("carl", &["rate", &package, "9"]);
    assert!(refused.stderr.contains("`9` is no rating: it is 1 to 5"), "{}", refused.stderr);
}

#[test]
fn owners_say_what_a_package_costs_and_whoever_may_pull_it_has_it() {
    let scene = scene("");
    // Who owns another publisher owns nothing of this one.
    scene.person("ben", "contributor");
    let founded = json!({ "name": "acme" });
    scene.hub.call(&scene.token("ben"), "POST", "/api/v1/publishers", Some(&founded)).unwrap();
    let price =
        json!({ "amount": "49.00", "currency": "EUR", "per": "month", "link": "https://acme.example/buy" });
    for who in ["carl", "ben", "rita"] {
        assert_eq!(call(&scene, who, "PUT", "price", Some(&price)).0, 403);
    }
    for (key, wrong) in
        [("amount", "0"), ("currency", "euro"), ("per", "day"), ("link", "javascript:alert(1)")]
    {
        let mut wrong_price = price.clone();
        wrong_price[key] = json!(wrong);
        let (status, refused) = call(&scene, "anna", "PUT", "price", Some(&wrong_price));
        assert!(status == 422 && refused.to_string().contains(wrong), "{status} {refused:#}");
    }
    assert_eq!((found(&scene, "price=free"), found(&scene, "price=paid")), (1, 0));
    let package = scene.hub.reference("l3af/steady");
    let set = ["publisher", "price", &package, "--amount", "49.00", "--currency", "EUR", "--per", "month"];
    let half = scene.ran("anna", &set);
    assert!(half.stderr.contains("--link"), "{}", half.stderr);
    scene.l3af("anna", &[&set[..], &["--link", "https://acme.example/buy"]].concat());
    assert_eq!(scene.read(None, "packages/l3af/steady").1["price"], price);
    assert_eq!((found(&scene, "price=free"), found(&scene, "q=steady&price=paid")), (0, 1));
    let listed = scene.l3af("carl", &["search", "--price", "paid", "--hub", &scene.host()]);
    assert!(listed.contains("49.00 EUR/month"), "{listed}");
    assert_eq!(scene.manifest("steady:1.0.0"), 200);
    scene.l3af("anna", &["publisher", "price", &package, "--free"]);
    assert_eq!(scene.read(None, "packages/l3af/steady").1["price"], Value::Null);
}
