// SPDX-License-Identifier: Apache-2.0
//! Paths and names.

use super::{ALGORITHMS, Repository, digest, registry};

#[test]
fn a_registry_says_that_it_is_one() {
    let hub = registry();
    for path in ["/v2/", "/v2"] {
        let answer = hub.get(path).unwrap();
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("docker-distribution-api-version"), Some("registry/2.0"));
    }
    assert_eq!(hub.ask("DELETE", "/v2/").send().unwrap().status, 405);
}

#[test]
fn names_may_have_many_parts_and_be_called_like_what_is_in_them() {
    let hub = registry();
    for algorithm in ALGORITHMS {
        for name in [
            "free/blobs",
            "free/manifests/blobs/uploads",
            "free/tags/list",
            "free/a/b/c/d/e",
            "free/referrers",
        ] {
            let here = Repository { hub: &hub, name };
            here.push_manifest(algorithm, Some("list"), &here.image(algorithm, 1));
            assert_eq!(here.get("manifests/list").status, 200, "{name}");
            assert_eq!(here.get("tags/list").status, 200, "{name}");
            here.begin().range();
        }
    }
}

#[test]
fn nothing_is_pushed_where_there_is_no_publisher() {
    let hub = registry();
    let nowhere = Repository { hub: &hub, name: "nobody/x" };
    let begun = nowhere.ask("POST", "blobs/uploads/").body("").send().unwrap();
    assert_eq!((begun.status, begun.code().as_str()), (404, "NAME_UNKNOWN"));
    assert!(begun.text().contains("l3af-hub publisher add nobody"), "{}", begun.text());
    let push = nowhere.ask("POST", &format!("blobs/uploads/?digest={}", digest("sha256", b"x"))).body("x");
    assert_eq!(push.send().unwrap().code(), "NAME_UNKNOWN");
}
