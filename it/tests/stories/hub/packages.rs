// SPDX-License-Identifier: Apache-2.0
//! Packages on their way through a hub: pushed, checked, reviewed, released, found, resolved, yanked.

mod found;
mod job;
mod nodes;
mod opinions;
mod published;
mod told;
mod withdrawn;

use std::fs;
use std::sync::{Mutex, PoisonError};

use it::{Hub, Ran};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::packages;

/// A hub with the publisher `l3af`, whose owner is `anna` and whose root has the key that packages are signed with; and `rita`, who
/// reviews.
pub(super) struct Scene {
    pub(super) hub: Hub,
    pub(super) boss: String,
    folder: TempDir,
}

impl Scene {
    /// With sections of the configuration besides.
    pub(super) fn new(settings: &str) -> Self {
        let hub = Hub::start_with(&format!("{settings}[access]\n")).unwrap();
        let person = hub.administrator().unwrap();
        let boss = hub.token(&person, &["api:read", "api:write", "admin"]).unwrap();
        let scene = Self { hub, boss, folder: tempfile::tempdir().unwrap() };
        scene.person("anna", "contributor");
        scene.person("rita", "reviewer");
        let founded = json!({ "name": "l3af" });
        let reply =
            scene.hub.call(&scene.token("anna"), "POST", "/api/v1/publishers", Some(&founded)).unwrap();
        assert_eq!(reply.status, 201, "{}", reply.text());
        scene.root();
        scene
    }

    /// Where what passes the checks is released at once.
    pub(super) fn without_reviewers() -> Self {
        Self::without_reviewers_with("")
    }

    /// The same, with sections of the configuration besides.
    pub(super) fn without_reviewers_with(settings: &str) -> Self {
        Self::new(&format!("[review]\napprovals = 0\n{settings}"))
    }

    /// Adds somebody, and writes the login that their commands use.
    pub(super) fn person(&self, handle: &str, role: &str) {
        let person = self.hub.add_account(&self.boss, handle, role).unwrap();
        let scopes = ["repository:*:pull,push,delete", "api:read", "api:write"];
        let token = self.hub.token(&person, &scopes).unwrap();
        fs::write(self.path(&format!("{handle}.token")), &token).unwrap();
        let login = base64(&format!("{handle}:{}", token.trim_start_matches("Bearer ")));
        let auths = json!({ "auths": { self.hub.address().to_string(): { "auth": login } } });
        fs::write(self.path(&format!("{handle}.json")), auths.to_string()).unwrap();
    }

    /// Makes a root of the key that packages are signed with, and registers it.
    fn root(&self) {
        let (folder, key) = (self.path("publisher"), packages().path("key"));
        let init = [
            "publisher",
            "init",
            "l3af",
            "--root",
            &format!("{key}.pub"),
            "--release",
            &format!("{key}.pub"),
        ];
        let init = [&init[..], &["--key", &key, "--folder", &folder]].concat();
        packages().l3af(&init).unwrap().success().unwrap();
        self.l3af("anna", &["publisher", "register", "l3af", "--folder", &folder, "--hub", &self.host()]);
    }

    pub(super) fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_string_lossy().into_owned()
    }

    pub(super) fn host(&self) -> String {
        self.hub.address().to_string()
    }

    /// What goes into `Authorization` for somebody.
    pub(super) fn token(&self, handle: &str) -> String {
        fs::read_to_string(self.path(&format!("{handle}.token"))).unwrap()
    }

    /// Runs `l3af` as somebody who has a login here.
    pub(super) fn ran(&self, handle: &str, arguments: &[&str]) -> Ran {
        let authfile = self.path(&format!("{handle}.json"));
        packages().l3af(&[arguments, &["--authfile", &authfile]].concat()).unwrap()
    }

    /// The same, which must succeed.
    pub(super) fn l3af(&self, handle: &str, arguments: &[&str]) -> String {
        self.ran(handle, arguments).success().unwrap()
    }

    /// Pushes a package as its owner, and tells what the checks found.
    pub(super) fn push(&self, package: &str, name: &str) -> Value {
        let to = self.hub.reference(&format!("l3af/{name}"));
        let ran = self.ran("anna", &["push", package, &to, "--json"]);
        let told: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|_| panic!("{}", ran.stderr));
        told["checks"].clone()
    }

    /// Reads something of the API as somebody, or as nobody.
    pub(super) fn read(&self, handle: Option<&str>, path: &str) -> (u16, Value) {
        let authorization = handle.map(|handle| self.token(handle)).unwrap_or_default();
        let reply = self.hub.call(&authorization, "GET", &format!("/api/v1/{path}"), None).unwrap();
        (reply.status, reply.json().unwrap_or_default())
    }

    /// The status of a manifest for somebody who did not log in.
    pub(super) fn manifest(&self, reference: &str) -> u16 {
        let (name, tag) = reference.split_once(':').unwrap();
        self.hub.get(&format!("/v2/l3af/{name}/manifests/{tag}")).unwrap().status
    }

    /// Registers a key with which `rita` decides, and returns its path.
    pub(super) fn reviewers_key(&self) -> String {
        let key = self.path("rita.key");
        packages().l3af(&["key", "new", &key, "--no-passphrase"]).unwrap().success().unwrap();
        self.l3af("rita", &["review", "key", &format!("{key}.pub"), "--hub", &self.host()]);
        key
    }
}

/// A version of `steady`, which lets everything pass; built and signed once.
pub(super) fn version(version: &str) -> String {
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let path = packages().path(&format!("steady-{version}.oci"));
    if !fs::exists(&path).unwrap() {
        packages().from_source(("steady", version), SOURCE, PROGRAM).unwrap();
    }
    path
}

const SOURCE: &str = "
#include \"vmlinux.h\"
#include <bpf/bpf_helpers.h>
SEC(\"xdp\") int steady(struct xdp_md *context) { return XDP_PASS; }
";
const PROGRAM: &str = "[[program]]\nfunction = \"steady\"\nobject = \"steady.bpf.o\"\nsource = \"steady.bpf.c\"\nhook = \"xdp\"\n";

/// The checks that did not pass, by name.
fn failed(checks: &Value) -> Vec<&str> {
    let all = checks["checks"].as_array().unwrap().iter();
    all.filter(|check| check["level"] == "fail").map(|check| check["name"].as_str().unwrap()).collect()
}

fn base64(text: &str) -> String {
    wire::base64(text.as_bytes())
}
