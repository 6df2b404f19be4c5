// SPDX-License-Identifier: Apache-2.0
//! The API does what it says of itself (schemathesis), and says so to people too; and how a hub is watched.

use std::path::PathBuf;
use std::process::Command;

use it::{Hub, repository};

use super::scene;

/// So that a failure is one again.
const SEED: &str = "7";
/// How many calls of each kind are made up, besides those for the bounds of each parameter.
const EXAMPLES: &str = "25";

/// The parts of the API.
const TAGS: [&str; 13] = [
    "accounts",
    "tokens",
    "publishers",
    "audit",
    "packages",
    "releases",
    "reviews",
    "instance",
    "webhooks",
    "transfers",
    "takedowns",
    "reports",
    "mail",
];

fn compare(hub: &Hub, authorization: &str) {
    let schemathesis: PathBuf = repository().join("target/python/bin/schemathesis");
    assert!(schemathesis.exists(), "`cargo xtask python` makes `target/python`, with schemathesis");
    let folder = tempfile::tempdir().unwrap();
    // What is well-formed may name what is not there, or be about somebody who is the last of a kind.
    let output = Command::new(schemathesis)
        .current_dir(folder.path())
        .args(["run", &format!("{}/api/v1/openapi.json", hub.url()), "--seed", SEED])
        .args(["--header", &format!("Authorization: {authorization}")])
        .args(TAGS.iter().flat_map(|tag| ["--include-tag", tag]))
        .args(["--max-examples", EXAMPLES, "--phases", "examples,coverage,fuzzing"])
        .args(["--exclude-checks", "positive_data_acceptance", "--generation-database", "none"])
        .args(["--continue-on-failure", "--no-shrink", "--no-color", "--request-timeout", "20"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn every_answer_is_one_that_the_description_of_the_api_has() {
    if crate::is_emulated() {
        return;
    }
    let (hub, _, admin) = scene();
    compare(&hub, &admin);
    assert!(!hub.log().contains("panicked"), "{}", hub.log());
    let verified = hub.administer(&["audit", "verify"]).unwrap();
    assert!(verified.ok, "{}", verified.stderr);
}

#[test]
fn what_leads_nowhere_is_told_as_problem_details() {
    let (hub, _, _) = scene();
    for (method, path, status) in [
        ("GET", "/nowhere", 404),
        ("GET", "/api/v1/nowhere", 404),
        ("DELETE", "/api/v1/publishers", 405),
        ("GET", "/api/v1/publishers?limit=0", 400),
        ("GET", "/api/v1/publishers?limit=x", 400),
        ("GET", "/api/v1/packages?limit=0", 400),
        ("GET", "/api/v1/packages?limit=101", 400),
        ("GET", "/api/v1/publishers?after=a&after=b", 400),
        ("GET", "/api/v1/publishers/%FF", 404),
        ("GET", "/api/v1/publishers/Not-a-name", 404),
        ("GET", "/api/v1/account", 401),
    ] {
        let reply = hub.ask(method, path).send().unwrap();
        assert_eq!(reply.status, status, "{method} {path}: {}", reply.text());
        assert_eq!(reply.header("content-type"), Some("application/problem+json"), "{path}");
        assert!(reply.json().unwrap()["hint"].is_string(), "{}", reply.text());
    }
}

#[test]
fn a_hub_tells_people_what_it_can_do_and_machines_how_it_is() {
    let (hub, _, _) = scene();
    let page = hub.get("/api/v1/").unwrap().text();
    assert!(page.contains("POST /api/v1/tokens") && page.contains("Make a token"), "{page}");
    assert_eq!(hub.get("/readyz").unwrap().text(), "ok\n");
    let metrics = hub.get("/metrics").unwrap();
    assert!(metrics.header("content-type").unwrap().starts_with("application/openmetrics-text"));
    let text = metrics.text();
    let created = text.lines().find(|line| line.contains("kind=\"change\",status=\"2xx\"")).unwrap();
    assert!(created.rsplit(' ').next().unwrap().parse::<u64>().unwrap() >= 1, "{created}");
    assert!(text.ends_with("# EOF\n"), "{text}");
}
