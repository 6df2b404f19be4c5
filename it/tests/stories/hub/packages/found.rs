// SPDX-License-Identifier: Apache-2.0
//! Searches.

use it::Postgres;
use serde_json::{Value, json};

use super::Scene;
use crate::packages;

#[test]
fn packages_are_found_by_words_with_mistakes_and_by_facets() {
    find_in(&Scene::without_reviewers());
}

#[test]
fn packages_are_found_in_postgresql_alike() {
    let postgres = Postgres::start().unwrap();
    find_in(&Scene::new(&format!("database = '{}'\n[review]\napprovals = 0\n", postgres.url())));
}

fn find_in(scene: &Scene) {
    for name in ["sanity", "ratelimit"] {
        let checks = scene.push(&packages().path(name), name);
        assert_eq!(checks["state"], "released", "{checks:#}");
    }
    let find = |query: &str| -> Vec<String> {
        let (status, found) = scene.read(None, &format!("packages?{query}"));
        assert_eq!(status, 200, "{found:#}");
        let names = found["packages"].as_array().unwrap().iter();
        names.map(|package| package["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(find("q=ratelimit"), ["ratelimit"]);
    assert_eq!(find("q=rate+limit")[0], "ratelimit", "the words together are its name");
    assert_eq!(find("q=ratelimti"), ["ratelimit"], "two letters are swapped");
    assert!(find("q=ratelimit&hook=lsm").is_empty());
    assert_eq!(find("q=ratelimit&hook=xdp&kernel=6.12&publisher=l3af"), ["ratelimit"]);
    assert!(find("q=ratelimit&kernel=4.4").is_empty(), "it does not run there");
    assert!(find("q=nothinglikethat").is_empty());

    let page = |query: &str| scene.read(None, &format!("packages?{query}")).1;
    let first = page("limit=1");
    let next = first["next"].as_str().expect("there is more");
    let second = page(&format!("limit=1&after={next}"));
    assert_ne!(first["packages"][0]["name"], second["packages"][0]["name"]);
    assert_eq!(second["next"], Value::Null);
    assert_eq!(page("q=ratelimti")["corrected"]["ratelimti"][0], "ratelimit");

    let shown = scene.l3af("anna", &["search", "ratelimt", "--hub", &scene.host(), "--json"]);
    assert_eq!(serde_json::from_str::<Value>(&shown).unwrap()["packages"][0]["name"], "ratelimit");
    let facets = scene.read(None, "facets").1;
    let hooks = facets["facets"].as_array().unwrap().iter().find(|facet| facet["name"] == "hook").unwrap();
    assert!(hooks["values"].as_array().unwrap().iter().any(|value| value["name"] == "xdp"), "{facets:#}");
    assert_eq!((&facets["packages"], &facets["whole"]), (&json!(2), &json!(true)));
    let of_one = scene.l3af("anna", &["search", "ratelimt", "--facets", "--hub", &scene.host(), "--json"]);
    assert_eq!(serde_json::from_str::<Value>(&of_one).unwrap()["packages"], 1);
    let categories = scene.read(None, "categories").1;
    let shelf = (&categories[0]["name"], &categories[0]["subcategories"][0]["name"]);
    let (category, part) = (shelf.0.as_str().unwrap(), shelf.1.as_str().unwrap());
    let on_shelf = find(&format!("category={category}&subcategory={part}"));
    let path = format!("categories/{category}/{part}/l3af/{}", on_shelf[0]);
    assert_eq!(scene.read(None, &path).0, 200);
    assert_eq!(scene.read(None, &format!("categories/nowhere/else/l3af/{}", on_shelf[0])).0, 404);
}
