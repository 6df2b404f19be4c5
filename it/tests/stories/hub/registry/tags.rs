// SPDX-License-Identifier: Apache-2.0
//! Lists of tags and of repositories.

use std::thread;

use serde_json::{Value, json};

use super::{IMAGE, Repository, digest, registry};

#[test]
fn tags_are_listed_in_order_and_by_pages() {
    let hub = registry();
    let here = Repository { hub: &hub, name: "free/tags" };
    let unknown = here.get("tags/list");
    assert_eq!((unknown.status, unknown.code().as_str()), (404, "NAME_UNKNOWN"));
    let image = here.image("sha512", 1).to_string();
    let tags = ["Zebra", "_", "a", "a-b", "a.b", "aa", "b", "v1.10.0", "v1.9.0"];
    for tag in tags.iter().rev() {
        assert_eq!(here.put_manifest(tag, IMAGE, image.as_bytes()).status, 201);
    }
    let list = |rest: &str| {
        let answer = here.get(&format!("tags/list{rest}"));
        assert_eq!(answer.status, 200, "{}", answer.text());
        let listed = answer.json().unwrap();
        assert_eq!(listed["name"], "free/tags");
        (listed["tags"].clone(), answer.header("link").map(str::to_owned))
    };
    assert_eq!(list(""), (json!(tags), None));
    assert_eq!(list("?n=0"), (json!([]), None));
    assert_eq!(list("?n=100"), (json!(tags), None));
    assert_eq!(list("?n=9"), (json!(tags), None), "there is no page after the last tag");
    assert_eq!(list("?last=b"), (json!(["v1.10.0", "v1.9.0"]), None));
    assert_eq!(list("?last=a-&n=1").0, json!(["a-b"]), "`last` need not be a tag");
    let (mut seen, mut rest) = (Vec::new(), "?n=4".to_owned());
    loop {
        let (page, link) = list(&rest);
        seen.extend(page.as_array().unwrap().clone());
        let Some(link) = link else { break };
        let next =
            link.strip_prefix("</v2/free/tags/tags/list").unwrap().strip_suffix(">; rel=\"next\"").unwrap();
        rest = next.to_owned();
    }
    assert_eq!(Value::Array(seen), json!(tags));
    for wrong in ["x", "-1", "1.5"] {
        assert_eq!(here.get(&format!("tags/list?n={wrong}")).status, 400, "{wrong}");
    }
}

#[test]
fn repositories_are_listed_by_pages() {
    let hub = registry();
    hub.add_registry("also").unwrap();
    let names = ["also/a", "also/z/y", "free/a", "free/b"];
    for name in names.iter().rev() {
        Repository { hub: &hub, name }.push_blob("sha256", b"x");
    }
    let list = |rest: &str| hub.get(&format!("/v2/_catalog{rest}")).unwrap();
    assert_eq!(list("").json().unwrap(), json!({ "repositories": names }));
    let first = list("?n=3");
    assert_eq!(first.json().unwrap()["repositories"], json!(names[..3]));
    let link = first.header("link").unwrap();
    assert_eq!(link, "</v2/_catalog?n=3&last=free/a>; rel=\"next\"");
    let second = list("?n=3&last=free/a");
    assert_eq!(
        (second.json().unwrap()["repositories"].clone(), second.header("link")),
        (json!(["free/b"]), None)
    );
    assert_eq!(list("?n=0").json().unwrap()["repositories"], json!([]));
}

#[test]
fn a_tag_that_many_move_at_a_time_is_always_one_of_them() {
    let hub = registry();
    let here = Repository { hub: &hub, name: "free/race" };
    let images: Vec<String> = (0..8).map(|seed| here.image("sha256", seed).to_string()).collect();
    let digests: Vec<String> = images.iter().map(|image| digest("sha256", image.as_bytes())).collect();
    assert_eq!(here.put_manifest("moving", IMAGE, images[0].as_bytes()).status, 201);
    let push = |image: &str| {
        assert_eq!(here.put_manifest("moving", IMAGE, image.as_bytes()).status, 201);
        let got = here.get("manifests/moving");
        assert_eq!(got.status, 200);
        assert_eq!(got.header("docker-content-digest"), Some(digest("sha256", &got.body).as_str()));
    };
    let push = &push;
    thread::scope(|scope| {
        for image in &images {
            scope.spawn(move || (0..10).for_each(|_| push(image)));
        }
    });
    let last = here.get("manifests/moving");
    assert!(digests.iter().any(|digest| last.header("docker-content-digest") == Some(digest)));
    assert_eq!(here.get("tags/list").json().unwrap()["tags"], json!(["moving"]));
}
