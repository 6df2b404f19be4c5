// SPDX-License-Identifier: Apache-2.0
//! `l3af-hub check` tells of each thing that is not as it should be.

use std::fs;
use std::path::PathBuf;

use it::Hub;
use serde_json::{Value, json};

use super::{Repository, registry};

/// Where an object lies.
fn object(hub: &Hub, digest: &str) -> PathBuf {
    let (algorithm, hex) = digest.split_once(':').unwrap();
    hub.folder().join("blobs").join(algorithm).join(&hex[..2]).join(hex)
}

/// What a check found, and whether it failed for it.
fn checked(hub: &Hub) -> (Value, bool) {
    let ran = hub.administer(&["check", "--json"]).unwrap();
    (serde_json::from_str(&ran.stdout).unwrap(), ran.ok)
}

#[test]
fn a_check_finds_what_is_missing_changed_or_said_wrongly_and_nothing_else() {
    let hub = registry();
    let here = Repository { hub: &hub, name: "free/checked" };
    let image = here.image("sha256", 1);
    let manifest = here.push_manifest("sha256", Some("one"), &image);
    here.push_manifest("sha512", Some("two"), &here.image("sha512", 2));
    let about = here.about("sha256", &super::described("sha256", &image), "application/vnd.example");
    here.push_manifest("sha256", None, &about);
    let (report, ok) = checked(&hub);
    assert!(ok, "{report}");
    assert_eq!(
        (&report["blobs"], &report["manifests"], &report["problems"]),
        (&json!(8), &json!(3), &json!([]))
    );

    let (config, layer) =
        (image["config"]["digest"].as_str().unwrap(), image["layers"][0]["digest"].as_str().unwrap());
    // A bit that turned.
    let mut bytes = fs::read(object(&hub, layer)).unwrap();
    bytes[17] ^= 1;
    fs::write(object(&hub, layer), &bytes).unwrap();
    fs::remove_file(object(&hub, config)).unwrap();
    let stray = hub.folder().join("blobs/sha256/00").join("0".repeat(64));
    fs::write(&stray, "no row knows it").unwrap();
    let (report, ok) = checked(&hub);
    assert!(!ok);
    assert_eq!(report["strays"], json!(1));
    let problems = report["problems"].as_array().unwrap();
    let of = |kind: &str| problems.iter().find(|problem| problem["kind"] == kind).unwrap();
    assert_eq!(problems.len(), 2, "{report}");
    assert_eq!(of("missing")["digest"], config);
    assert_eq!(of("changed")["digest"], layer);
    let told = hub.administer(&["check"]).unwrap();
    assert!(told.stdout.contains(&format!("the object of blob `{config}` is missing")), "{}", told.stdout);
    assert!(told.stderr.contains("2 things are not as they should be"), "{}", told.stderr);

    // A manifest that was cut off is no manifest any more.
    fs::remove_file(stray).unwrap();
    let text = fs::read(object(&hub, &manifest)).unwrap();
    fs::write(object(&hub, &manifest), &text[..text.len() / 2]).unwrap();
    let (report, _) = checked(&hub);
    let kinds: Vec<&str> = report["problems"]
        .as_array()
        .unwrap()
        .iter()
        .map(|problem| problem["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds.iter().filter(|kind| **kind == "row").count(), 1, "{report}");
    assert_eq!(kinds.iter().filter(|kind| **kind == "changed").count(), 2, "{report}");

    // Whoever pushes again what is damaged mends it.
    fs::write(object(&hub, &manifest), &text).unwrap();
    here.image("sha256", 1);
    let (report, ok) = checked(&hub);
    assert!(ok, "{report}");
}
