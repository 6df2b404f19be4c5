// SPDX-License-Identifier: Apache-2.0
//! Blobs that are there.

use super::{ALGORITHMS, Repository, digest, registry, some_bytes};

#[test]
fn a_blob_is_what_was_pushed_under_its_digest_and_its_length_is_known_before() {
    let hub = registry();
    let here = Repository { hub: &hub, name: "free/blobs" };
    for algorithm in ALGORITHMS {
        // Of no bytes, of those that are remembered, and of several pieces.
        for length in [0, 1, 3000, 700_000] {
            let bytes = some_bytes(7, length);
            let blob = format!("blobs/{}", here.push_blob(algorithm, &bytes));
            for (asked, body) in [(here.get(&blob), &bytes[..]), (here.head(&blob), &[])] {
                assert_eq!((asked.status, &asked.body[..]), (200, body), "{algorithm} {length}");
                assert_eq!(asked.header("content-length"), Some(length.to_string().as_str()));
                assert_eq!(asked.header("docker-content-digest"), blob.strip_prefix("blobs/"));
            }
        }
    }
}

#[test]
fn a_part_of_a_blob_is_what_was_asked_for_as_far_as_it_is_there() {
    let hub = registry();
    let here = Repository { hub: &hub, name: "free/ranges" };
    let parts = [
        ("500-1499", 500..1500),
        ("500-", 500..3000),
        ("-500", 2500..3000),
        ("2000-5000", 2000..3000),
        ("0-0", 0..1),
    ];
    for (algorithm, length) in [("sha256", 3000), ("sha512", 3000), ("sha256", 300_000)] {
        let bytes = some_bytes(9, length);
        let blob = format!("blobs/{}", here.push_blob(algorithm, &bytes));
        let ask =
            |range: &str| here.ask("GET", &blob).header("Range", &format!("bytes={range}")).send().unwrap();
        if length == 3000 {
            for (range, part) in parts.clone() {
                let told = format!("bytes {}-{}/{length}", part.start, part.end - 1);
                let answer = ask(range);
                assert_eq!(
                    (answer.status, answer.header("content-range")),
                    (206, Some(told.as_str())),
                    "{range}"
                );
                assert_eq!(answer.body, bytes[part], "{range}");
            }
        } else {
            assert_eq!(ask("1000-299998").body, bytes[1000..299_999]);
        }
        for range in
            ["500-0".to_owned(), format!("{length}-"), format!("{length}-{}", length + 5), "-0".to_owned()]
        {
            let answer = ask(&range);
            let told = format!("bytes */{length}");
            assert_eq!(
                (answer.status, answer.header("content-range")),
                (416, Some(told.as_str())),
                "{range}"
            );
        }
        assert_eq!(ask("0-1,3-4").body, bytes, "several ranges at once are not cut out");
    }
}

#[test]
fn a_blob_is_read_through_the_repositories_that_it_was_pushed_to_and_no_others() {
    let hub = registry();
    let (here, there) =
        (Repository { hub: &hub, name: "free/here" }, Repository { hub: &hub, name: "free/a/b/there" });
    for algorithm in ALGORITHMS {
        let bytes = some_bytes(3, 100);
        let blob = format!("blobs/{}", here.push_blob(algorithm, &bytes));
        for asked in [there.get(&blob), there.head(&blob), there.delete(&blob)] {
            assert_eq!(asked.status, 404);
        }
        assert_eq!(there.get(&blob).code(), "BLOB_UNKNOWN");
        there.push_blob(algorithm, &bytes);
        assert_eq!(here.delete(&blob).status, 202);
        for asked in [here.get(&blob), here.head(&blob), here.delete(&blob)] {
            assert_eq!(asked.status, 404, "at once");
        }
        assert_eq!(there.get(&blob).body, bytes);
    }
}

#[test]
fn a_blob_is_mounted_from_a_repository_that_has_it_and_else_uploaded() {
    let hub = registry();
    let (here, there) =
        (Repository { hub: &hub, name: "free/source" }, Repository { hub: &hub, name: "free/target" });
    for algorithm in ALGORITHMS {
        let bytes = some_bytes(4, 100);
        let digest = here.push_blob(algorithm, &bytes);
        let mount =
            |rest: &str| there.ask("POST", &format!("blobs/uploads/?mount={digest}{rest}")).body("").send();
        for no_source in ["&from=free/none", "&from=nobody/x", "&from=free/../source", "&from=", ""] {
            let begun = mount(no_source).unwrap();
            assert_eq!(begun.status, 202, "{no_source}: {}", begun.text());
            assert!(begun.header("location").unwrap().starts_with("/v2/free/target/blobs/uploads/"));
        }
        assert_eq!(there.get(&format!("blobs/{digest}")).status, 404);
        let mounted = mount("&from=free/source").unwrap();
        assert_eq!(mounted.status, 201, "{}", mounted.text());
        assert_eq!(mounted.header("location"), Some(format!("/v2/free/target/blobs/{digest}").as_str()));
        assert_eq!(there.get(&format!("blobs/{digest}")).body, bytes);
    }
}

#[test]
fn what_is_no_digest_names_no_blob() {
    let hub = registry();
    let here = Repository { hub: &hub, name: "free/wrong" };
    let digest_of_other = digest("sha256", b"other");
    assert_eq!(here.get(&format!("blobs/{digest_of_other}")).code(), "BLOB_UNKNOWN");
    for wrong in
        ["sha256:x", "md5:d41d8cd98f00b204e9800998ecf8427e", "sha256", "sha512:00", "%2e%2e%2f%2e%2e"]
    {
        let asked = here.get(&format!("blobs/{wrong}"));
        assert_eq!((asked.status, asked.code().as_str()), (400, "DIGEST_INVALID"), "{wrong}");
    }
}
