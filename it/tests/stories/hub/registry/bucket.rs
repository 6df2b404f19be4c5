// SPDX-License-Identifier: Apache-2.0
//! Blobs in a bucket: what is different there is how uploads become blobs.

use std::fs;
use std::path::Path;

use it::{Hub, Postgres, S3};

use super::{Repository, digest, some_bytes};

const MIB: usize = 1024 * 1024;

/// How many objects lie below a name.
fn objects(below: &Path) -> usize {
    let Ok(entries) = fs::read_dir(below) else { return 0 };
    let below = |path: &Path| if path.is_dir() { objects(path) } else { 1 };
    entries.map(|entry| below(&entry.unwrap().path())).sum()
}

#[test]
fn an_upload_is_assembled_of_pieces_of_any_size_over_the_deaths_of_the_hub() {
    let bucket = S3::start().unwrap();
    let mut hub = Hub::start_with(&bucket.configuration()).unwrap();
    hub.add_registry("free").unwrap();
    // Parts are of 8 MiB: a piece ends in the middle of one, one has several, and some bytes are left.
    let ends = [5 * MIB + 1, 6 * MIB, 23 * MIB + 7];
    let bytes = some_bytes(7, ends[2] + 11);
    for algorithm in super::ALGORITHMS {
        let location = Repository { hub: &hub, name: "free/large" }.begin().location;
        let mut begin = 0;
        for end in ends {
            let piece = hub.ask("PATCH", &location).header("Content-Range", &format!("{begin}-{}", end - 1));
            assert_eq!(piece.body(&bytes[begin..end]).send().unwrap().status, 202);
            hub.restart().unwrap();
            let status = hub.get(&location).unwrap();
            assert_eq!(status.header("range"), Some(format!("0-{}", end - 1).as_str()));
            begin = end;
        }
        let whole = digest(algorithm, &bytes);
        let end = hub.ask("PUT", &format!("{location}?digest={whole}")).body(&bytes[begin..]);
        assert_eq!(end.send().unwrap().status, 201);
        let here = Repository { hub: &hub, name: "free/large" };
        assert!(here.get(&format!("blobs/{whole}")).body == bytes, "{algorithm}");
        let part = here.ask("GET", &format!("blobs/{whole}")).header("Range", "bytes=8388600-8388620");
        assert_eq!(part.send().unwrap().body, bytes[8_388_600..=8_388_620]);
        assert_eq!(here.delete(&format!("blobs/{whole}")).status, 202);
    }
    let hasty = "[sweep]\nevery_seconds = 1\ngrace_seconds = 1\n";
    hub.settings = format!("{}{hasty}", bucket.configuration());
    hub.restart().unwrap();
    let kept = bucket.objects().as_ref().join("hub");
    hub.wait("nothing is left of them", || objects(&kept) == 0);
}

#[test]
fn a_digest_that_is_not_that_of_the_bytes_makes_no_blob() {
    let bucket = S3::start().unwrap();
    let hub = Hub::start_with(&bucket.configuration()).unwrap();
    hub.add_registry("free").unwrap();
    let here = Repository { hub: &hub, name: "free/wrong" };
    for length in [10, 9 * MIB] {
        let other = digest("sha256", b"something else");
        let ended = here.begin().end(&other).body(some_bytes(1, length)).send().unwrap();
        assert_eq!((ended.status, ended.code().as_str()), (400, "DIGEST_INVALID"));
        assert_eq!(here.head(&format!("blobs/{other}")).status, 404);
    }
    assert_eq!(objects(&bucket.objects().as_ref().join("hub/blobs")), 0);
}

#[test]
fn hubs_over_one_database_and_one_bucket_are_one_registry() {
    let (database, bucket) = (Postgres::start().unwrap(), S3::start().unwrap());
    let settings = format!("database = '{}'\n{}", database.url(), bucket.configuration());
    let one = Hub::start_with(&settings).unwrap();
    one.add_registry("free").unwrap();
    // Nothing but the configuration leads to the other: it has a folder of its own.
    let other = Hub::start_with(&settings).unwrap();
    let (here, there) =
        (Repository { hub: &one, name: "free/a" }, Repository { hub: &other, name: "free/a" });
    let image = here.image("sha256", 3);
    let pushed = there.push_manifest("sha256", Some("1.0"), &image);
    assert_eq!(here.get("manifests/1.0").header("docker-content-digest"), Some(pushed.as_str()));
    let large = some_bytes(4, 9 * MIB);
    let mut upload = here.begin();
    assert_eq!(upload.piece("0-8388608", &large[..=8 * MIB]).status, 202);
    upload.hub = &other;
    let whole = digest("sha512", &large);
    assert_eq!(upload.end(&whole).body(&large[8 * MIB + 1..]).send().unwrap().status, 201);
    assert!(here.get(&format!("blobs/{whole}")).body == large);
    one.administer(&["check"]).unwrap().success().unwrap();
}
