// SPDX-License-Identifier: Apache-2.0
//! From one hub to another by a folder that somebody carries.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Mirror, policy, whole};
use crate::hub::packages::{Scene, version};
use crate::packages;

/// A folder that packages are carried in.
struct Carried(TempDir);

impl Carried {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("export")
    }

    fn text(&self) -> String {
        self.path().to_string_lossy().into_owned()
    }

    /// Writes packages of a scene, and tells what the command said.
    fn export(&self, scene: &Scene, patterns: &[&str]) -> String {
        let folder = self.text();
        let arguments = [&["export", folder.as_str(), "--packages"], patterns].concat();
        scene.hub.administer(&arguments).unwrap().success().unwrap()
    }

    /// A hub that may take packages from here.
    fn mirror(&self) -> Mirror {
        Mirror::new(&format!("[mirrors]\nfolders = ['{}']\n", self.0.path().display()))
    }

    /// What is told of a package of `l3af`.
    fn document(&self, name: &str) -> Value {
        let read = |path: PathBuf| -> Value { serde_json::from_slice(&fs::read(path).unwrap()).unwrap() };
        let export = read(self.path().join("export.json"));
        let listed = export["packages"].as_array().unwrap().iter().find(|package| package["name"] == name);
        let digest = listed.unwrap()["document"].as_str().unwrap().trim_start_matches("sha256:");
        read(self.path().join(format!("packages/l3af/{name}/blobs/sha256/{digest}")))
    }

    fn rule(&self, scene: &Scene) -> Value {
        json!({ "source": { "folder": self.path() }, "packages": ["*/*"], "policy": policy(scene), "paused": true })
    }
}

fn files(below: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(below).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[test]
fn packages_are_carried_to_where_no_network_leads() {
    let scene = Scene::without_reviewers();
    scene.push(&packages().path("sanity"), "sanity");
    scene.push(&version("1.0.0"), "steady");
    let carried = Carried::new();
    let folder = carried.text();
    let refused =
        scene.hub.administer(&["export", folder.as_str(), "--packages", "l3af/sanity", "acme/*"]).unwrap();
    assert!(!refused.ok && refused.stderr.ends_with("error: no package that is released here is `acme/*`\n"));
    assert!(!carried.path().exists(), "of an order that is half right nothing is done");
    let told = carried.export(&scene, &["l3af/sanity"]);
    assert!(told.starts_with("1 releases") && told.contains("1 packages are there"), "{told}");
    let mirror = carried.mirror();
    mirror.follow(&carried.rule(&scene));
    mirror.run();
    assert_eq!(mirror.outcome("sanity", "0.1.0"), "mirrored");
    assert_eq!(whole(&mirror.hub, "sanity", "0.1.0"), whole(&scene.hub, "sanity", "0.1.0"));
    assert!(mirror.lacks("steady:1.0.0"));

    // Other tools read it as what it is: an OCI layout for each package.
    let copied = scene.path("copied");
    let layout = carried.path().join("packages/l3af/sanity");
    let raw = it::run(&format!("skopeo inspect --raw oci:{}:0.1.0", layout.display())).unwrap();
    assert_eq!(
        raw.as_bytes(),
        mirror.manifest("sanity:0.1.0").body,
        "as it is, whatever else skopeo does with it"
    );
    it::run(&format!("skopeo copy --all oci:{}:0.1.0 dir:{copied}", layout.display())).unwrap();
    let index: Value = serde_json::from_str(&raw).unwrap();
    for image in index["manifests"].as_array().unwrap() {
        let hex = image["digest"].as_str().unwrap().trim_start_matches("sha256:");
        let there = fs::read(layout.join("blobs/sha256").join(hex)).unwrap();
        assert_eq!(fs::read(format!("{copied}/{hex}.manifest.json")).unwrap(), there);
    }

    // What is new is added, and what was yanked is told; nothing else is written again.
    let newest = scene.hub.reference("l3af/sanity:0.1.0");
    scene.l3af("anna", &["yank", &newest, "--reason", "it is too sane"]);
    let told = carried.export(&scene, &["l3af/*"]);
    assert!(told.starts_with("2 releases") && told.contains("2 packages are there"), "{told}");
    mirror.run();
    assert_eq!(mirror.outcome("steady", "1.0.0"), "mirrored");
    let release = mirror.get("/api/v1/packages/l3af/sanity/versions/0.1.0").json().unwrap();
    assert_eq!(release["state"], "yanked", "{release:#}");
    assert!(release["reason"].as_str().unwrap().contains("it is too sane"), "{release:#}");
    assert!(carried.export(&scene, &["l3af/*"]).starts_with("2 releases, 0 new blobs"), "all of it is there");
    assert!(files(&carried.path()).iter().all(|path| path.extension().is_none_or(|end| end != "new")));
    // All of a package is given to nobody any more: that is carried too.
    let down =
        json!({ "publisher": "l3af", "name": "steady", "class": "malware", "reason": "it phones home" });
    let taken = scene.hub.call(&scene.boss, "POST", "/api/v1/takedowns", Some(&down)).unwrap();
    assert_eq!(taken.status, 201, "{}", taken.text());
    assert!(carried.export(&scene, &["l3af/*"]).starts_with("1 releases, 0 new blobs"));
    let told = &carried.document("steady")["releases"][0];
    assert_eq!(told["state"], "taken-down", "{told:#}");
    assert!(told["facts"].is_null(), "what it says of itself may be why: {told:#}");
    mirror.run();
    let release = mirror.get("/api/v1/packages/l3af/steady/versions/1.0.0").json().unwrap();
    assert_eq!(release["state"], "yanked", "{release:#}");
    assert!(
        release["reason"].as_str().unwrap().contains("taken down (malware: it phones home)"),
        "{release:#}"
    );
    mirror.hub.administer(&["check"]).unwrap().success().unwrap();
}

#[test]
fn what_was_not_written_or_copied_whole_is_recognised() {
    let scene = Scene::without_reviewers();
    scene.push(&version("1.0.0"), "steady");
    let carried = Carried::new();
    carried.export(&scene, &["l3af/*"]);
    let mirror = carried.mirror();
    mirror.follow(&carried.rule(&scene));
    let (list, elsewhere) = (carried.path().join("export.json"), carried.path().join("elsewhere"));
    fs::rename(&list, &elsewhere).unwrap();
    assert!(problem(&mirror).contains("was not written or copied whole"));
    assert!(mirror.lacks("steady:1.0.0"));
    fs::rename(&elsewhere, &list).unwrap();

    // The image is the last: its layer may be that of another platform as well, and would have been fetched before.
    let blob = |digest: &Value| {
        let hex = digest.as_str().unwrap().trim_start_matches("sha256:").to_owned();
        carried.path().join("packages/l3af/steady/blobs/sha256").join(hex)
    };
    let json = |path: &Path| serde_json::from_slice::<Value>(&fs::read(path).unwrap()).unwrap();
    let document = blob(&json(&list)["packages"][0]["document"]);
    let index = blob(&json(&document)["releases"][0]["digest"]);
    let image = blob(&json(&index)["manifests"][0]["digest"]);
    let layer = blob(&json(&image)["layers"][0]["digest"]);
    for path in [document, index, layer, image] {
        let (good, hex) =
            (fs::read(&path).unwrap(), path.file_name().unwrap().to_string_lossy().into_owned());
        fs::remove_file(&path).unwrap();
        let told = problem(&mirror);
        assert!(told.contains("was not copied whole") && told.contains(&hex), "without {hex}: {told}");
        fs::write(&path, [&good[1..], &good[..1]].concat()).unwrap();
        let told = problem(&mirror);
        assert!(told.contains("their digest is") && told.contains(&hex), "{hex} changed: {told}");
        fs::write(&path, good).unwrap();
        assert!(mirror.lacks("steady:1.0.0"));
    }
    mirror.run();
    assert_eq!(mirror.outcome("steady", "1.0.0"), "mirrored");
}

/// What is told of a run.
fn problem(mirror: &Mirror) -> String {
    mirror.run();
    mirror.read("mirrors/upstream")["problem"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn what_was_deleted_there_stays_here_and_is_told_unless_the_rule_says_otherwise() {
    let scene = Scene::without_reviewers();
    for number in ["1.0.0", "1.1.0"] {
        scene.push(&version(number), "steady");
    }
    let carried = Carried::new();
    carried.export(&scene, &["l3af/*"]);
    let mirror = carried.mirror();
    mirror.follow(&carried.rule(&scene));
    mirror.run();
    assert_eq!(mirror.outcome("steady", "1.1.0"), "mirrored");
    let path = "/api/v1/packages/l3af/steady/versions/1.1.0";
    assert_eq!(scene.hub.call(&scene.token("anna"), "DELETE", path, None).unwrap().status, 204);
    carried.export(&scene, &["l3af/*"]);
    mirror.run();
    let gone = mirror.result("steady", "1.1.0");
    assert_eq!(gone["outcome"], "gone", "{gone:#}");
    assert_eq!(mirror.manifest("steady:1.1.0").status, 200);
    let mut strict = carried.rule(&scene);
    strict["deletions"] = json!("follow");
    mirror.follow(&strict);
    mirror.run();
    assert_eq!(mirror.outcome("steady", "1.1.0"), "removed");
    assert!(mirror.lacks("steady:1.1.0"));
    assert_eq!(mirror.manifest("steady:1.0.0").status, 200);
    mirror.hub.administer(&["check"]).unwrap().success().unwrap();
}

#[test]
fn an_export_is_written_over_nothing_else() {
    let scene = Scene::without_reviewers();
    scene.push(&version("1.0.0"), "steady");
    let carried = Carried::new();
    fs::create_dir(carried.path()).unwrap();
    fs::write(carried.path().join("letter"), "dear").unwrap();
    let export =
        |pattern: &str| scene.hub.administer(&["export", &carried.text(), "--packages", pattern]).unwrap();
    let ran = export("l3af/*");
    assert!(ran.stderr.contains("is not empty and is no export"), "{}", ran.stderr);
    fs::remove_file(carried.path().join("letter")).unwrap();
    let ran = export("other/*");
    assert!(ran.stderr.contains("no package that is released here"), "{}", ran.stderr);
    export("l3af/*").success().unwrap();
}
