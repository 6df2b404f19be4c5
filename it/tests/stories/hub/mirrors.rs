// SPDX-License-Identifier: Apache-2.0
//! Packages of one hub that another has as well, by an administrator's rule.

mod folder;
mod followed;
mod refused;
mod resumed;
mod taken;

use std::fs;

use it::{Hub, Reply};
use serde_json::{Value, json};

use super::packages::Scene;

/// A hub that takes packages from another.
struct Mirror {
    hub: Hub,
    boss: String,
}

impl Mirror {
    /// With sections of the configuration besides.
    fn new(settings: &str) -> Self {
        Self::of(Hub::start_with(&format!("{settings}[access]\n")).unwrap())
    }

    fn of(hub: Hub) -> Self {
        let person = hub.administrator().unwrap();
        let scopes = ["api:read", "api:write", "admin", "repository:*:pull,push,delete"];
        let boss = hub.token(&person, &scopes).unwrap();
        Self { hub, boss }
    }

    fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Reply {
        self.hub.call(&self.boss, method, &format!("/api/v1/{path}"), body).unwrap()
    }

    fn read(&self, path: &str) -> Value {
        let reply = self.call("GET", path, None);
        assert_eq!(reply.status, 200, "{path}: {}", reply.text());
        reply.json().unwrap()
    }

    /// Sets the rule `upstream`.
    fn set(&self, rule: &Value) -> Reply {
        self.call("PUT", "mirrors/upstream", Some(rule))
    }

    /// The same, which must be taken.
    fn follow(&self, rule: &Value) {
        let reply = self.set(rule);
        assert!(reply.status == 201 || reply.status == 200, "{}", reply.text());
    }

    /// What became of a release.
    fn result(&self, package: &str, version: &str) -> Value {
        let results = self.read("mirrors/upstream/results?limit=1000");
        let mut items = results["items"].as_array().unwrap().iter();
        let found = items.find(|item| item["package"] == package && item["version"] == version);
        found.cloned().unwrap_or_default()
    }

    fn outcome(&self, package: &str, version: &str) -> String {
        self.result(package, version)["outcome"].as_str().unwrap_or_default().to_owned()
    }

    /// Waits until something became so of a release.
    #[track_caller]
    fn wait(&self, (package, version): (&str, &str), outcome: &str) -> Value {
        let what = format!("{package} {version} is {outcome}");
        self.hub.wait(&what, || self.outcome(package, version) == outcome);
        self.result(package, version)
    }

    /// Has the rule carried out, and waits until it was.
    fn run(&self) {
        self.hub.wait("nobody carries it out", || self.read("mirrors/upstream")["running"] == false);
        let before = self.read("mirrors/upstream")["ran"].clone();
        assert_eq!(self.call("POST", "mirrors/upstream/run", None).status, 202);
        self.hub.wait("the rule is carried out", || {
            let mirror = self.read("mirrors/upstream");
            mirror["ran"] != before && mirror["running"] == false
        });
    }

    /// What somebody gets who did not log in.
    fn get(&self, path: &str) -> Reply {
        self.hub.get(path).unwrap()
    }

    fn manifest(&self, reference: &str) -> Reply {
        let (name, tag) = reference.split_once(':').unwrap();
        self.get(&format!("/v2/l3af/{name}/manifests/{tag}"))
    }

    /// Whether nobody gets it, not even who may see everything. Others are not told whether there is a repository.
    fn lacks(&self, reference: &str) -> bool {
        let (name, tag) = reference.split_once(':').unwrap();
        let path = format!("/v2/l3af/{name}/manifests/{tag}");
        let as_boss = self.hub.call(&self.boss, "GET", &path, None).unwrap().status;
        as_boss == 404 && [401, 404].contains(&self.get(&path).status)
    }
}

/// A policy that trusts the publisher of a scene, for what comes from its hub.
fn policy(scene: &Scene) -> Value {
    let root = fs::read_to_string(scene.path("publisher/1.root.json")).unwrap();
    let text = format!(
        "[[publisher]]\nname = \"l3af\"\npackages = [\"*\"]\nroot_file = \"root.json\"\n[[repository]]\nurl = \"{}\"\n",
        scene.host()
    );
    json!({ "text": text, "files": { "root.json": root } })
}

/// A rule for all packages of a scene.
fn rule(scene: &Scene) -> Value {
    json!({ "source": { "host": scene.host() }, "packages": ["l3af/*"], "policy": policy(scene) })
}

/// What refers to a manifest, in the order of digests.
fn referrers(hub: &Hub, name: &str, digest: &str) -> Vec<String> {
    let listed = hub.get(&format!("/v2/l3af/{name}/referrers/{digest}")).unwrap().json().unwrap();
    let manifests = listed["manifests"].as_array().unwrap().iter();
    manifests.map(|manifest| manifest["digest"].as_str().unwrap().to_owned()).collect()
}

/// Everything of a release that can be had without a login: its manifests and blobs, and what refers to any of it.
fn whole(hub: &Hub, name: &str, reference: &str) -> Vec<(String, Vec<u8>)> {
    let (mut waiting, mut found) = (vec![reference.to_owned()], Vec::new());
    while let Some(reference) = waiting.pop() {
        let manifest = hub.get(&format!("/v2/l3af/{name}/manifests/{reference}")).unwrap();
        assert_eq!(manifest.status, 200, "{reference}: {}", manifest.text());
        let digest = manifest.header("docker-content-digest").unwrap().to_owned();
        let document = manifest.json().unwrap();
        let entries = |key: &str| document[key].as_array().cloned().unwrap_or_default();
        let digests = |entries: Vec<Value>| -> Vec<String> {
            entries.iter().map(|entry| entry["digest"].as_str().unwrap().to_owned()).collect()
        };
        for blob in
            digests([entries("layers"), document.get("config").cloned().into_iter().collect()].concat())
        {
            let reply = hub.get(&format!("/v2/l3af/{name}/blobs/{blob}")).unwrap();
            assert_eq!(reply.status, 200, "{blob}");
            found.push((blob, reply.body));
        }
        waiting.extend(digests(entries("manifests")));
        waiting.extend(referrers(hub, name, &digest));
        found.push((digest, manifest.body));
    }
    found.sort();
    found.dedup();
    found
}
