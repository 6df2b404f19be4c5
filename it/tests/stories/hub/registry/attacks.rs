// SPDX-License-Identifier: Apache-2.0
//! Whoever means harm gets an answer of the registry, and it goes on.

use std::fs;

use super::{IMAGE, Repository, digest, registry, some_bytes};

#[test]
fn no_path_leads_out_of_the_registry() {
    let hub = registry();
    let here = Repository { hub: &hub, name: "free/x" };
    let blob = format!("blobs/{}", here.push_blob("sha256", b"x"));
    let secret = hub.folder().join("secret");
    fs::write(&secret, "secret").unwrap();
    let long = "a".repeat(300);
    let names = [
        "free/../free/x",
        "free/./x",
        "free/%2e%2e/x",
        "free%2fx",
        "free/x%00",
        "free//x",
        "FREE/x",
        "free/x/..",
        "free\\x",
        "free/x;a=b",
        "free/\u{e4}",
        "free/x%0d%0aSet-Cookie:%20a",
        "..",
        "%2e%2e%2f%2e%2e",
        &format!("free/{long}"),
    ];
    for name in names {
        for rest in [blob.as_str(), "manifests/latest", "tags/list", "blobs/..%2f..%2fsecret"] {
            let answer = hub.ask("GET", &format!("/v2/{name}/{rest}")).send().unwrap();
            assert!((400..500).contains(&answer.status), "{name}/{rest}: {}", answer.status);
            assert!(
                answer.status == 400 || answer.code() == "NAME_INVALID",
                "{name}/{rest}: {}",
                answer.text()
            );
            assert_eq!(answer.header("set-cookie"), None);
        }
        let begun = hub.ask("POST", &format!("/v2/{name}/blobs/uploads/")).body("").send().unwrap();
        assert!((400..500).contains(&begun.status), "{name}: {}", begun.status);
    }
    for path in [
        "/v2/../secret",
        "/../../etc/passwd",
        "/v2/%2e%2e/secret",
        "//v2/",
        "/v2/free/x/blobs/uploads/../../secret",
    ] {
        let answer = hub.get(path).unwrap();
        assert!((400..500).contains(&answer.status), "{path}: {}", answer.status);
    }
    let upload = here.begin();
    for id in ["..", "%2e%2e%2fsecret", "' OR 1=1 --", "%00"] {
        let answer = here.get(&format!("blobs/uploads/{}", id.replace(' ', "%20")));
        assert_eq!(answer.status, 404, "{id}");
    }
    assert_eq!(upload.range(), "0-0");
    assert_eq!(fs::read_to_string(&secret).unwrap(), "secret");
}

#[test]
fn headers_that_lie_are_answered_and_spoil_nothing() {
    let hub = registry();
    let here = Repository { hub: &hub, name: "free/lies" };
    let bytes = some_bytes(1, 20);
    let upload = here.begin();
    for range in
        ["0-18446744073709551615", "18446744073709551615-18446744073709551615", "-1-5", "0-", "\u{7f}"]
    {
        let piece = upload.piece(range, &bytes);
        assert!((400..500).contains(&piece.status), "{range}: {}", piece.status);
    }
    assert_eq!(upload.range(), "0-0");
    let image = here.image("sha256", 1).to_string();
    let both = here
        .ask("PUT", "manifests/both")
        .header("Transfer-Encoding", "chunked")
        .header("Content-Type", IMAGE);
    let both = both.body(image.clone()).send().unwrap();
    assert!((400..500).contains(&both.status), "two lengths of a body: {}", both.status);
    let tags = here.put_manifest("a?tag=b%0d%0aX-Evil:%201", IMAGE, image.as_bytes());
    assert_eq!(tags.status, 400);
    let many =
        (0..500).fold(here.ask("GET", "tags/list"), |ask, number| ask.header(&format!("X-{number}"), "x"));
    assert!((400..500).contains(&many.send().unwrap().status));
    let query = here.get(&format!("tags/list?last={}", "%27%22%3B--%00"));
    assert!(query.status < 500, "{}", query.text());
    assert_eq!(here.put_manifest("after", IMAGE, image.as_bytes()).status, 201);
}

#[test]
fn what_was_uploaded_is_never_shown_as_a_page() {
    let hub = registry();
    let here = Repository { hub: &hub, name: "free/page" };
    let blob = here.get(&format!("blobs/{}", here.push_blob("sha256", b"<script>alert(1)</script>")));
    assert_eq!(blob.header("content-type"), Some("application/octet-stream"));
    assert_eq!(blob.header("x-content-type-options"), Some("nosniff"));
}

#[test]
fn a_digest_of_one_algorithm_is_no_name_for_what_another_made() {
    let hub = registry();
    let here = Repository { hub: &hub, name: "free/algorithms" };
    let bytes = some_bytes(2, 10);
    let (short, long) = (digest("sha256", &bytes), digest("sha512", &bytes));
    here.push_blob("sha512", &bytes);
    assert_eq!(here.get(&format!("blobs/{short}")).status, 404, "it was never pushed as that");
    let cut = format!("sha256:{}", &long["sha512:".len()..][..64]);
    let pushed = here.ask("POST", &format!("blobs/uploads/?digest={cut}")).body(bytes).send().unwrap();
    assert_eq!(pushed.code(), "DIGEST_INVALID");
    assert_eq!(here.get(&format!("blobs/{cut}")).status, 404);
}
