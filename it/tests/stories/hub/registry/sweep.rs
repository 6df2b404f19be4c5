// SPDX-License-Identifier: Apache-2.0
//! What nobody needs goes, what somebody needs stays, also while others push and after the hub was killed.

use std::fs;
use std::thread;
use std::time::Duration;

use it::{Hub, push_through_kills};
use serde_json::json;

use super::{IMAGE, Repository, described, digest, some_bytes};

/// The settings of a hub that removes at once what nobody needs.
const HASTY: &str =
    "[sweep]\nevery_seconds = 1\ngrace_seconds = 0\nupload_seconds = 0\nstrays_every_seconds = 0\n";

/// How many files a folder has, and the folders in it.
fn files(folder: &std::path::Path) -> usize {
    let entries = fs::read_dir(folder).unwrap().map(Result::unwrap);
    entries.map(|entry| if entry.file_type().unwrap().is_dir() { files(&entry.path()) } else { 1 }).sum()
}

#[test]
fn what_nobody_needs_goes_and_what_somebody_needs_stays() {
    let mut hub = Hub::start().unwrap();
    hub.add_registry("free").unwrap();
    let (here, gone) =
        (Repository { hub: &hub, name: "free/kept" }, Repository { hub: &hub, name: "free/gone" });
    let image = here.image("sha512", 1);
    here.push_manifest("sha512", Some("kept"), &image);
    let about = here.about("sha512", &described("sha512", &image), "application/vnd.example");
    let about_digest = here.push_manifest("sha512", None, &about);
    // Of the same blobs, of which one repository shall have nothing.
    let image_there = gone.image("sha512", 1);
    let other = gone.push_manifest("sha512", Some("gone"), &image_there);
    gone.push_blob("sha256", &some_bytes(77, 100));
    let dangling = json!({ "mediaType": IMAGE, "digest": digest("sha256", b"never"), "size": 5 });
    let dangling = here.about("sha256", &dangling, "application/vnd.example");
    let dangling = here.push_manifest("sha256", None, &dangling);
    let upload = here.begin();
    assert_eq!(upload.piece("0-9", &some_bytes(1, 10)).status, 202);
    let upload = upload.location;
    let stray = hub.folder().join("blobs/sha256/00").join(format!("00{}", "a".repeat(62)));
    fs::write(&stray, "left by a crash").unwrap();
    assert_eq!(gone.delete(&format!("manifests/{other}")).status, 202);
    // Who is slow at all this lost nothing of it meanwhile.
    hub.settings = HASTY.to_owned();
    hub.restart().unwrap();
    let here = Repository { hub: &hub, name: "free/kept" };

    let catalog = || hub.get("/v2/_catalog").unwrap().json().unwrap()["repositories"].clone();
    hub.wait("the repository goes", || catalog() == json!(["free/kept"]));
    hub.wait("what is about nothing goes", || here.get(&format!("manifests/{dangling}")).status == 404);
    hub.wait("the upload goes", || hub.get(&upload).unwrap().status == 404);
    hub.wait("what belongs to nothing goes", || !stray.exists());
    // Configuration, layer, what `{}` is, and two manifests.
    hub.wait("all else goes", || files(&hub.folder().join("blobs")) == 5);
    assert_eq!(files(&hub.folder().join("uploads")), 0);
    for reference in ["kept", &about_digest] {
        assert_eq!(here.get(&format!("manifests/{reference}")).status, 200);
    }
    let layer = image["layers"][0]["digest"].as_str().unwrap();
    assert_eq!(here.get(&format!("blobs/{layer}")).body, some_bytes(1, 500));
    // What went can come again.
    hub.settings = String::new();
    hub.restart().unwrap();
    let gone = Repository { hub: &hub, name: "free/gone" };
    gone.push_manifest("sha512", Some("again"), &gone.image("sha512", 1));
    hub.administer(&["check"]).unwrap().success().unwrap();
}

#[test]
fn nothing_that_was_acknowledged_goes_while_all_else_does() {
    let hub = Hub::start_with(HASTY).unwrap();
    hub.add_registry("free").unwrap();
    thread::scope(|scope| {
        // The same blobs come and go, and a sweep is always about.
        for name in ["free/one", "free/two", "free/three"] {
            let here = Repository { hub: &hub, name };
            scope.spawn(move || come_and_go(&here));
        }
    });
    hub.administer(&["check"]).unwrap().success().unwrap();
}

/// Pushes images and deletes every other one, again and again.
fn come_and_go(here: &Repository<'_>) {
    let mut kept = 0;
    while kept < 30 {
        let seed = kept % 3;
        let image = here.image("sha256", seed).to_string();
        let put = here.put_manifest("tag", IMAGE, image.as_bytes());
        // With no grace a blob may be gone before the manifest comes that needs it: the client is told.
        if put.status != 201 {
            assert_eq!(put.code(), "MANIFEST_BLOB_UNKNOWN", "{}", put.text());
            continue;
        }
        kept += 1;
        assert_eq!(here.get("manifests/tag").text(), image);
        for part in [some_bytes(seed, 40), some_bytes(seed, 500)] {
            let blob = here.get(&format!("blobs/{}", digest("sha256", &part)));
            assert_eq!((blob.status, blob.body), (200, part));
        }
        if kept % 2 == 0 {
            let digest = digest("sha256", image.as_bytes());
            assert_eq!(here.delete(&format!("manifests/{digest}")).status, 202);
        }
        // Let a sweep come in between.
        thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn what_was_acknowledged_is_whole_after_kills_in_the_middle_of_pushes() {
    const PUSHES: usize = 60;
    const KILLS: usize = 6;
    let mut hub = Hub::start().unwrap();
    hub.add_registry("free").unwrap();
    let tally = push_through_kills(&mut hub, "free/killed", PUSHES, KILLS).unwrap();
    assert_eq!((tally.acknowledged, tally.kills), (PUSHES, KILLS));
    let report = hub.administer(&["check", "--json"]).unwrap().success().unwrap();
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["problems"], json!([]));
    assert_eq!(report["manifests"], json!(PUSHES));
}
