// SPDX-License-Identifier: Apache-2.0
//! What is about a manifest.

use serde_json::{Value, json};

use super::{ALGORITHMS, INDEX, Repository, described, digest, registry};

/// What is listed, after all that an answer must say.
fn listed(here: &Repository<'_>, rest: &str) -> Vec<Value> {
    let answer = here.get(&format!("referrers/{rest}"));
    assert_eq!((answer.status, answer.header("content-type")), (200, Some(INDEX)), "{}", answer.text());
    let index = answer.json().unwrap();
    assert_eq!((index["schemaVersion"].clone(), index["mediaType"].clone()), (json!(2), json!(INDEX)));
    let filters = rest.contains("artifactType").then_some("artifactType");
    assert_eq!(answer.header("oci-filters-applied"), filters);
    index["manifests"].as_array().unwrap().clone()
}

#[test]
fn what_is_about_a_manifest_is_listed_also_before_the_manifest_is_there() {
    let hub = registry();
    let here = Repository { hub: &hub, name: "free/subjects" };
    let none = Repository { hub: &hub, name: "nobody/none" };
    assert_eq!(listed(&none, &digest("sha256", b"none")), [json!(null); 0]);
    assert_eq!(here.get("referrers/sha256:x").status, 400);
    for algorithm in ALGORITHMS {
        let image = here.image(algorithm, 1);
        let subject = described(algorithm, &image);
        let subject_digest = subject["digest"].as_str().unwrap();
        assert_eq!(listed(&here, subject_digest), [json!(null); 0]);
        let kinds = ["application/vnd.example.one", "application/vnd.example.two+json"];
        for kind in kinds {
            let about = here.about(algorithm, &subject, kind);
            let bytes = about.to_string();
            let put = here.put_manifest(&digest(algorithm, bytes.as_bytes()), super::IMAGE, bytes.as_bytes());
            assert_eq!(
                (put.status, put.header("oci-subject")),
                (201, Some(subject_digest)),
                "{}",
                put.text()
            );
        }
        let mut index = json!({
            "schemaVersion": 2, "mediaType": INDEX, "manifests": [], "subject": subject,
            "artifactType": "application/vnd.example.index",
        });
        here.push_manifest(algorithm, None, &index);
        // What states no kind has that of its configuration, and an index has none.
        let mut plain = here.about(algorithm, &subject, "");
        plain["artifactType"] = json!(null);
        here.push_manifest(algorithm, None, &plain);
        index["artifactType"] = json!(null);
        here.push_manifest(algorithm, None, &index);

        here.push_manifest(algorithm, Some("subject"), &image);
        let all = listed(&here, subject_digest);
        let mut found: Vec<&str> = all.iter().filter_map(|entry| entry["artifactType"].as_str()).collect();
        found.sort_unstable();
        let of_configuration = "application/vnd.oci.empty.v1+json";
        let index_kind = "application/vnd.example.index";
        assert_eq!(found, [index_kind, kinds[0], kinds[1], of_configuration]);
        assert_eq!(all.len(), 5);
        let one = listed(&here, &format!("{subject_digest}?artifactType={}", kinds[0]));
        let mut expected = described(algorithm, &here.about(algorithm, &subject, kinds[0]));
        expected["artifactType"] = json!(kinds[0]);
        expected["annotations"] = json!({ "org.example.kind": kinds[0] });
        assert_eq!(one, [expected]);
        let escaped = "application%2Fvnd.example.two%2Bjson";
        assert_eq!(listed(&here, &format!("{subject_digest}?artifactType={escaped}")).len(), 1);
        assert_eq!(listed(&here, &format!("{subject_digest}?artifactType=no/such")).len(), 0);
    }
}

#[test]
fn what_is_about_a_manifest_goes_with_it_unless_it_has_a_tag() {
    let hub = registry();
    let here = Repository { hub: &hub, name: "free/goes" };
    for algorithm in ALGORITHMS {
        let image = here.image(algorithm, 2);
        let subject = here.push_manifest(algorithm, Some("subject"), &image);
        let first = here.about(algorithm, &described(algorithm, &image), "application/vnd.example.first");
        let first_digest = here.push_manifest(algorithm, None, &first);
        let second = here.about(algorithm, &described(algorithm, &first), "application/vnd.example.second");
        let second_digest = here.push_manifest(algorithm, None, &second);
        let tagged = here.about(algorithm, &described(algorithm, &image), "application/vnd.example.tagged");
        here.push_manifest(algorithm, Some("tagged"), &tagged);
        assert_eq!(listed(&here, &subject).len(), 2);
        assert_eq!(here.delete(&format!("manifests/{first_digest}")).status, 202);
        assert_eq!(listed(&here, &subject).len(), 1, "at once");
        assert_eq!(here.get(&format!("manifests/{second_digest}")).status, 404);
        for about in [&first, &second] {
            here.push_manifest(algorithm, None, about);
        }
        assert_eq!(here.delete(&format!("manifests/{subject}")).status, 202);
        for digest in [&first_digest, &second_digest] {
            assert_eq!(here.get(&format!("manifests/{digest}")).status, 404);
        }
        assert_eq!(here.get("manifests/tagged").status, 200);
    }
}

#[test]
fn a_long_list_comes_in_pages() {
    let hub = registry();
    let here = Repository { hub: &hub, name: "free/many" };
    let image = here.image("sha256", 3);
    let subject = here.push_manifest("sha256", None, &image);
    let mut about = here.about("sha256", &described("sha256", &image), "application/vnd.example");
    for number in 0..1003 {
        about["annotations"] = json!({ "number": number.to_string() });
        here.push_manifest("sha256", None, &about);
    }
    let kind = "artifactType=application%2Fvnd.example";
    let first = here.get(&format!("referrers/{subject}?{kind}"));
    let link = first.header("link").unwrap();
    let rest = link.strip_prefix("</v2/free/many/").unwrap().strip_suffix(">; rel=\"next\"").unwrap();
    let (first, second) = (first.json().unwrap(), here.get(rest));
    assert_eq!(second.header("link"), None);
    assert_eq!(first["manifests"].as_array().unwrap().len(), 1000);
    assert_eq!(second.json().unwrap()["manifests"].as_array().unwrap().len(), 3);
}
