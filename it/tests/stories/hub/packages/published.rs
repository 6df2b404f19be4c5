// SPDX-License-Identifier: Apache-2.0
//! From a push to a release.

use package::Package;
use serde_json::json;
use wire::Layout;

use super::{Scene, failed, version};
use crate::packages;

#[test]
fn a_package_is_seen_by_others_once_it_was_reviewed() {
    let scene = Scene::new("");
    let checks = scene.push(&packages().path("sanity"), "sanity");
    assert_eq!(checks["state"], "review", "{checks:#}");
    assert!(failed(&checks).is_empty());
    // Nobody but those who may review or push it knows of it.
    assert_eq!(scene.manifest("sanity:0.1.0"), 404);
    assert_eq!(scene.read(None, "packages/l3af/sanity").0, 404);
    assert_eq!(scene.read(Some("rita"), "packages/l3af/sanity/versions/0.1.0").1["state"], "review");
    let from = scene.hub.reference("l3af/sanity:0.1.0");

    let key = scene.reviewers_key();
    let waiting = scene.l3af("rita", &["review", "waiting", "--hub", &scene.host()]);
    assert!(waiting.contains("l3af/sanity") && waiting.contains("0 of 1"), "{waiting}");
    let own = scene.ran("anna", &["review", "approve", &from, "--key", &key, "--text", "mine"]);
    assert!(!own.stderr.is_empty() && own.success().is_err());
    scene.l3af("rita", &["review", "approve", &from, "--key", &key, "--text", "it does what it says"]);

    // From the answer on everybody has it.
    assert_eq!(scene.manifest("sanity:0.1.0"), 200);
    let found = scene.read(None, "packages?q=sanity").1;
    assert_eq!(found["packages"][0]["name"], "sanity", "{found:#}");
    let folder = scene.path("pulled");
    packages().l3af(&["pull", &from, "--output", &folder]).unwrap().success().unwrap();
    it::run(&format!(
        "skopeo copy --all --src-tls-verify=false docker://{from} dir:{}",
        scene.path("copied")
    ))
    .unwrap();
    // The review came along: a machine can demand the word of this reviewer.
    let policy = scene.path("policy.toml");
    let endorser = |key: &str| {
        format!(
            "[[publisher]]\nname = \"l3af\"\npackages = [\"*\"]\nkey_files = [\"{}.pub\"]\n[[endorser]]\nname = \"rita\"\n\
             packages = [\"*\"]\nuntil = \"2999-01-01T00:00:00Z\"\nkey_files = [\"{key}.pub\"]\n[[repository]]\nurl = \"{}\"\n\
             public = true\n",
            packages().path("key"),
            scene.hub.reference("l3af")
        )
    };
    let verify = |key: &str| {
        std::fs::write(&policy, endorser(key)).unwrap();
        packages().l3af(&["verify", &format!("oci://{from}"), "--policy", &policy]).unwrap().success()
    };
    verify(&key).unwrap();
    assert!(verify(&packages().path("key")).is_err(), "the publisher is no reviewer");
}

#[test]
fn a_key_that_was_taken_back_decides_nothing() {
    let scene = Scene::new("");
    assert_eq!(scene.push(&packages().path("sanity"), "sanity")["state"], "review");
    let from = scene.hub.reference("l3af/sanity:0.1.0");
    let key = scene.reviewers_key();
    let listed = scene.l3af("rita", &["review", "keys", "--hub", &scene.host(), "--json"]);
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    let id = listed[0]["key"].as_str().unwrap();
    let remove = |key: &str| scene.ran("rita", &["review", "remove-key", key, "--hub", &scene.host()]);
    let other = remove("zzzzzzzz");
    assert!(!other.ok && other.stderr.contains("0 of your 1 keys"), "{}", other.stderr);
    remove(&id[..12]).success().unwrap();
    let approve = || scene.ran("rita", &["review", "approve", &from, "--key", &key, "--text", "fine"]);
    let refused = approve();
    assert!(!refused.ok && refused.stderr.contains("none of the 0 keys"), "{}", refused.stderr);
    let gone = scene.hub.call(&scene.token("rita"), "DELETE", &format!("/api/v1/reviews/keys/{id}"), None);
    assert_eq!(gone.unwrap().status, 404);
    scene.l3af("rita", &["review", "key", &format!("{key}.pub"), "--hub", &scene.host()]);
    approve().success().unwrap();
}

#[test]
fn what_is_not_signed_waits_for_its_signature() {
    let scene = Scene::without_reviewers();
    packages().build_one("sanity", "unsigned-for-hub").unwrap();
    let checks = scene.push(&packages().path("unsigned-for-hub"), "sanity");
    assert_eq!((checks["state"].as_str(), failed(&checks)), (Some("changes-asked"), vec!["signature"]));
    let there = format!("oci://{}", scene.hub.reference("l3af/sanity:0.1.0"));
    scene.l3af("anna", &["sign", &there, "--key", &packages().path("key")]);
    scene.hub.wait("it is released", || scene.manifest("sanity:0.1.0") == 200);
}

#[test]
fn somebody_elses_signature_is_none() {
    let scene = Scene::without_reviewers();
    let (other, package) = (scene.path("other"), "signed-by-another");
    packages().l3af(&["key", "new", &other, "--no-passphrase"]).unwrap().success().unwrap();
    packages().build_one("sanity", package).unwrap();
    packages().l3af(&["sign", package, "--key", &other]).unwrap().success().unwrap();
    assert_eq!(failed(&scene.push(&packages().path(package), "sanity")), ["signature"]);
}

#[test]
fn a_package_is_pushed_to_where_it_says_it_belongs() {
    let scene = Scene::without_reviewers();
    assert_eq!(failed(&scene.push(&packages().path("sanity"), "other")), ["identity"]);
}

#[test]
fn rejected_bytes_are_refused_under_another_name() {
    let scene = Scene::new("");
    let steady = version("1.0.0");
    scene.push(&steady, "steady");
    let key = scene.reviewers_key();
    let reference = scene.hub.reference("l3af/steady:1.0.0");
    scene.l3af("rita", &["review", "reject", &reference, "--key", &key, "--text", "it lets everything pass"]);
    let (status, release) = scene.read(Some("anna"), "packages/l3af/steady/versions/1.0.0");
    assert_eq!((status, release["state"].as_str()), (200, Some("rejected")), "{release:#}");
    assert_eq!(release["reason"], "it lets everything pass");

    let layout = Layout::open(steady.as_ref()).unwrap();
    let package = Package::read(&layout, &layout.index().unwrap()).unwrap();
    let object = package.platforms[0].files.bytes("steady.bpf.o").unwrap();
    let renamed = packages().from_object(("renamed", "1.0.0"), object, "steady", "xdp").unwrap();
    let checks = scene.push(&renamed, "renamed");
    assert!(failed(&checks).contains(&"rejected"), "{checks:#}");
    // The same layer does not even arrive.
    let again = scene.ran("anna", &["push", &steady, &scene.hub.reference("l3af/steady:1.0.1")]);
    assert!(again.stderr.contains("was rejected"), "{}", again.stderr);
}

#[test]
fn a_greater_version_says_what_it_breaks() {
    let scene = Scene::without_reviewers();
    let with = |number: &str, entries: u32| {
        let source = format!(
            "#include \"vmlinux.h\"\n#include <bpf/bpf_helpers.h>\nstruct {{ __uint(type, BPF_MAP_TYPE_ARRAY); \
             __uint(max_entries, {entries}); __type(key, __u32); __type(value, __u64); }} seen SEC(\".maps\");\n\
             SEC(\"xdp\") int mapped(struct xdp_md *context) {{ __u32 key = 0; __u64 *one = bpf_map_lookup_elem(&seen, &key); \
             if (one) __sync_fetch_and_add(one, 1); return XDP_PASS; }}\n"
        );
        let program = "[[program]]\nfunction = \"mapped\"\nobject = \"mapped.bpf.o\"\nsource = \"mapped.bpf.c\"\nhook = \"xdp\"\n";
        packages().from_source(("mapped", number), &source, program).unwrap()
    };
    assert_eq!(scene.push(&with("1.1.0", 8), "mapped")["state"], "released");
    assert_eq!(
        failed(&scene.push(&with("1.1.1", 4), "mapped")),
        ["map-interface"],
        "a smaller map breaks people"
    );
    assert_eq!(failed(&scene.push(&with("1.1.0-rc.1", 8), "mapped")), ["version"], "that was before 1.1.0");
    assert_eq!(scene.push(&with("2.0.0", 4), "mapped")["state"], "released");
    assert_eq!(scene.push(&with("1.0.9", 8), "mapped")["state"], "released", "an older line may be mended");
}

#[test]
fn a_notice_is_accepted_before_anything_is_published_or_pulled_with_a_login() {
    let scene = Scene::new(
        "[instance]\nname = \"ours\"\nnotice = \"all at your own risk\"\n[review]\napprovals = 0\n",
    );
    let to = scene.hub.reference("l3af/sanity");
    let push = || scene.ran("anna", &["push", &packages().path("sanity"), &to]);
    assert!(push().success().is_err());
    let shown = scene.l3af("anna", &["accept-notice", "--hub", &scene.host()]);
    assert_eq!(shown.trim(), "all at your own risk");
    push().success().unwrap();
    assert_eq!(scene.manifest("sanity:0.1.0"), 200, "nobody is asked who shows no login");
    let read = |handle: &str| {
        let path = "/v2/l3af/sanity/manifests/0.1.0";
        scene.hub.call(&scene.token(handle), "GET", path, None).unwrap().status
    };
    assert_eq!((read("anna"), read("rita")), (200, 403));
}

#[test]
fn the_next_root_is_signed_by_the_one_before() {
    let scene = Scene::new("");
    let root = |folder: &str| {
        let (key, folder) = (packages().path("key"), scene.path(folder));
        let init = [
            "publisher",
            "init",
            "l3af",
            "--root",
            &format!("{key}.pub"),
            "--release",
            &format!("{key}.pub"),
        ];
        packages()
            .l3af(&[&init[..], &["--key", &key, "--folder", &folder]].concat())
            .unwrap()
            .success()
            .unwrap();
        std::fs::read_to_string(format!("{folder}/1.root.json")).unwrap()
    };
    let roots = "/api/v1/publishers/l3af/roots";
    let register = |handle: &str, text: &str| {
        let ask = scene.hub.ask("POST", roots).header("Authorization", &scene.token(handle));
        ask.header("Content-Type", "application/json").body(text.as_bytes()).send().unwrap()
    };
    assert_eq!(register("rita", &root("one")).status, 403, "she owns nothing here");
    // A first version again, though made a moment later, follows nothing.
    let again = register("anna", &root("two").replace("\"version\": 1", "\"version\":  1"));
    assert_eq!(again.status, 400, "{}", again.text());
    let known = scene.read(None, "publishers/l3af/roots").1;
    assert_eq!(known.as_array().unwrap().len(), 1);
    assert_eq!(known[0]["version"], json!(1));
}
