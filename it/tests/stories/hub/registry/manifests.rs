// SPDX-License-Identifier: Apache-2.0
//! Manifests, which are kept as they come.

use serde_json::json;

use super::{
    ALGORITHMS, EMPTY, IMAGE, INDEX, Repository, described, descriptor, digest, registry, some_bytes,
};

#[test]
fn a_manifest_is_read_by_its_digest_and_its_tags_as_it_was_pushed() {
    let hub = registry();
    let here = Repository { hub: &hub, name: "free/images" };
    for algorithm in ALGORITHMS {
        // With blanks that no JSON needs, and fields that nobody knows.
        let image =
            here.image(algorithm, 1).to_string().replacen('{', "{\n  \"org.example.unknown\": [1, 2],", 1);
        let digest = digest(algorithm, image.as_bytes());
        let put = here.put_manifest(&format!("{digest}?tag=one&tag=two"), IMAGE, image.as_bytes());
        assert_eq!(put.status, 201, "{}", put.text());
        let tags: Vec<&str> =
            put.headers.iter().filter(|(name, _)| name == "oci-tag").map(|(_, tag)| tag.as_str()).collect();
        assert_eq!(tags, ["one", "two"]);
        for reference in [&digest, "one", "two", &digest.replace(':', "%3A")] {
            let (got, head) =
                (here.get(&format!("manifests/{reference}")), here.head(&format!("manifests/{reference}")));
            assert_eq!((got.status, got.text()), (200, image.clone()), "{reference}");
            assert_eq!((head.status, head.body.len()), (200, 0));
            for answer in [got, head] {
                assert_eq!(answer.header("content-type"), Some(IMAGE));
                assert_eq!(answer.header("docker-content-digest"), Some(digest.as_str()));
                assert_eq!(answer.header("content-length"), Some(image.len().to_string().as_str()));
            }
        }
        let known = here.ask("GET", "manifests/one").header("If-None-Match", &format!("\"{digest}\""));
        assert_eq!(known.send().unwrap().status, 304);
    }
    // By a tag, with the algorithm that is asked for.
    let image = here.image("sha256", 2).to_string();
    for (parameter, algorithm) in [("", "sha256"), ("?digest-algorithm=sha512", "sha512")] {
        let put = here.put_manifest(&format!("by-tag{parameter}"), IMAGE, image.as_bytes());
        let digest = digest(algorithm, image.as_bytes());
        assert_eq!(put.header("docker-content-digest"), Some(digest.as_str()), "{}", put.text());
        assert_eq!(put.header("location"), Some(format!("/v2/free/images/manifests/{digest}").as_str()));
        assert_eq!(here.get("manifests/by-tag").header("docker-content-digest"), Some(digest.as_str()));
    }
}

#[test]
fn manifests_of_all_shapes_are_taken() {
    let hub = registry();
    let here = Repository { hub: &hub, name: "free/shapes" };
    for algorithm in ALGORITHMS {
        let image = here.image(algorithm, 1);
        here.push_manifest(algorithm, None, &image);
        let mut bare = image.clone();
        bare["layers"] = json!([]);
        here.push_manifest(algorithm, Some("no-layers"), &bare);
        let mut large = image.clone();
        large["annotations"] = json!({ "filling": "x".repeat(4 * 1024 * 1024 - 2000) });
        here.push_manifest(algorithm, Some("large"), &large);
        assert_eq!(here.get("manifests/large").text(), large.to_string());
        let mut elsewhere = image.clone();
        let kind = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip";
        elsewhere["layers"] = json!([descriptor(algorithm, kind, b"never pushed")]);
        here.push_manifest(algorithm, Some("elsewhere"), &elsewhere);
        let mut data = image.clone();
        data["config"]["data"] = json!("e30=");
        here.push_manifest(algorithm, Some("data"), &data);
        here.push_blob(algorithm, b"{}");
        let artifact = json!({
            "schemaVersion": 2, "mediaType": IMAGE, "artifactType": "application/vnd.example",
            "config": descriptor(algorithm, EMPTY, b"{}"), "layers": [descriptor(algorithm, EMPTY, b"{}")],
        });
        here.push_manifest(algorithm, Some("artifact"), &artifact);
        let index =
            json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [described(algorithm, &image)] });
        here.push_manifest(algorithm, Some("index"), &index);
        let nested =
            json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [described(algorithm, &index)] });
        here.push_manifest(algorithm, Some("nested"), &nested);
        here.push_manifest(
            algorithm,
            Some("empty"),
            &json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [] }),
        );
        let mut docker = image.clone();
        docker["mediaType"] = json!("application/vnd.docker.distribution.manifest.v2+json");
        here.push_manifest(algorithm, Some("docker"), &docker);
        let list = json!({
            "schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.list.v2+json",
            "manifests": [described(algorithm, &docker)],
        });
        here.push_manifest(algorithm, Some("docker-list"), &list);
        assert_eq!(here.get("manifests/docker-list").header("content-type"), list["mediaType"].as_str());
    }
}

#[test]
fn what_a_manifest_names_must_be_there_before_it_in_its_repository() {
    let hub = registry();
    let (here, other) =
        (Repository { hub: &hub, name: "free/needy" }, Repository { hub: &hub, name: "free/other" });
    for algorithm in ALGORITHMS {
        let image = other.image(algorithm, 3);
        other.push_manifest(algorithm, None, &image);
        let index =
            json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [described(algorithm, &image)] });
        for (document, media_type) in [(&image, IMAGE), (&index, INDEX)] {
            let put = here.put_manifest("needy", media_type, document.to_string().as_bytes());
            assert_eq!((put.status, put.code().as_str()), (404, "MANIFEST_BLOB_UNKNOWN"), "{}", put.text());
        }
        assert_eq!(here.get("manifests/needy").status, 404);
    }
}

#[test]
fn what_is_no_manifest_is_not_taken() {
    let hub = registry();
    let here = Repository { hub: &hub, name: "free/malformed" };
    let image = here.image("sha256", 4);
    let text = image.to_string();
    let with = |field: &str, value| {
        let mut other = image.clone();
        other[field] = value;
        other.to_string()
    };
    let cases = [
        (IMAGE, String::new()),
        (IMAGE, "{".to_owned()),
        (IMAGE, "[]".to_owned()),
        (IMAGE, with("schemaVersion", json!(1))),
        (IMAGE, with("schemaVersion", json!(null))),
        (IMAGE, with("config", json!(null))),
        (IMAGE, with("config", json!({ "mediaType": EMPTY, "digest": "sha256:x", "size": 2 }))),
        (IMAGE, with("layers", json!([{}]))),
        (IMAGE, with("subject", json!({ "mediaType": IMAGE, "digest": "../../etc", "size": 2 }))),
        (IMAGE, with("annotations", json!({ "a": 1 }))),
        (INDEX, text.clone()),
        (INDEX, json!({ "schemaVersion": 2, "mediaType": INDEX }).to_string()),
        ("text/plain", text.clone()),
        ("application/vnd.docker.distribution.manifest.v1+prettyjws", with("mediaType", json!(null))),
        (IMAGE, "[".repeat(100_000)),
    ];
    for (media_type, document) in cases {
        let put = here.put_manifest("malformed", media_type, document.as_bytes());
        let shown: String = document.chars().take(100).collect();
        assert_eq!((put.status, put.code().as_str()), (400, "MANIFEST_INVALID"), "{media_type} {shown}");
    }
    let large = here.put_manifest("large", IMAGE, &some_bytes(0, 4 * 1024 * 1024 + 1));
    assert_eq!((large.status, large.code().as_str()), (413, "SIZE_INVALID"));
    let huge = vec![b'['; 65536];
    let endless = vec![&huge[..]; 80];
    let endless =
        here.ask("PUT", "manifests/large").header("Content-Type", IMAGE).chunked(&endless).send().unwrap();
    assert_eq!(endless.status, 413);
    let confused = here.put_manifest(&digest("sha256", b"other"), IMAGE, text.as_bytes());
    assert_eq!((confused.status, confused.code().as_str()), (400, "DIGEST_INVALID"));
    for (reference, code) in [("a+b", "NAME_INVALID"), (".a", "NAME_INVALID"), ("sha256:x", "DIGEST_INVALID")]
    {
        let put = here.put_manifest(reference, IMAGE, text.as_bytes());
        assert_eq!((put.status, put.code().as_str()), (400, code), "{reference}");
    }
    let put = here.put_manifest(&"a".repeat(129), IMAGE, text.as_bytes());
    assert_eq!(put.status, 400, "a tag has 128 bytes at most");
    assert_eq!(here.put_manifest(&"a".repeat(128), IMAGE, text.as_bytes()).status, 201);
}

#[test]
fn what_is_not_there_is_not_found_whatever_is_asked_for() {
    let hub = registry();
    let here = Repository { hub: &hub, name: "free/none" };
    let none = digest("sha256", b"none");
    for reference in [none.as_str(), "none", ".INVALID_MANIFEST_NAME"] {
        for asked in
            [here.get(&format!("manifests/{reference}")), here.delete(&format!("manifests/{reference}"))]
        {
            assert_eq!((asked.status, asked.code().as_str()), (404, "MANIFEST_UNKNOWN"), "{reference}");
        }
        assert_eq!(here.head(&format!("manifests/{reference}")).status, 404);
    }
    assert_eq!(here.get("manifests/sha256:totallywrong").status, 400);
}

#[test]
fn a_manifest_is_deleted_with_its_tags_and_a_tag_alone() {
    let hub = registry();
    let here = Repository { hub: &hub, name: "free/deleted" };
    for algorithm in ALGORITHMS {
        let image = here.image(algorithm, 5);
        let digest = here.push_manifest(algorithm, Some("one&tag=two"), &image);
        assert_eq!(here.delete("manifests/one").status, 202);
        assert_eq!(here.get("manifests/one").status, 404, "at once");
        assert_eq!(here.delete("manifests/one").status, 404);
        assert_eq!(here.get("manifests/two").status, 200);
        assert_eq!(here.delete(&format!("manifests/{digest}")).status, 202);
        for reference in [digest.as_str(), "two"] {
            assert_eq!(here.get(&format!("manifests/{reference}")).status, 404, "{reference}");
        }
        assert_eq!(here.delete(&format!("manifests/{digest}")).status, 404);
        let layer = image["layers"][0]["digest"].as_str().unwrap();
        assert_eq!(here.get(&format!("blobs/{layer}")).status, 200, "blobs stay for a while");
        here.push_manifest(algorithm, Some("again"), &image);
        assert_eq!(here.get("manifests/again").status, 200);
    }
}
