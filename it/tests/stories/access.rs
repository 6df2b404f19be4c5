// SPDX-License-Identifier: Apache-2.0
//! The API over TCP: who gets in by which certificate or token, and what becomes of files that change.

use std::fs;
use std::path::Path;

use it::{Authority, Identity, Node, Pair, Provider, Ran, binary, run_in};

use crate::packages;

/// A daemon that answers over TCP, and an authority that signed its certificate.
pub(crate) struct Scene {
    pub(crate) pair: Pair,
    pub(crate) node: Node,
    pub(crate) authority: Authority,
    folder: tempfile::TempDir,
}

const YEARS_AHEAD: i32 = 2099;

impl Scene {
    /// With these lines of `[remote]`, and these tables.
    pub(crate) fn new(remote: &str, tables: &str) -> Self {
        let pair = Pair::new().unwrap();
        let authority = Authority::new().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let mut node = Node::start(&pair.right, &packages().policy()).unwrap();
        let own = authority.sign("node", &[&pair.right.address], YEARS_AHEAD).unwrap();
        for (file, from) in
            [("node.pem", &own.certificate), ("node.key", &own.key), ("ca.pem", &authority.file())]
        {
            fs::copy(from, folder.path().join(file)).unwrap();
        }
        let path = |name: &str| folder.path().join(name).display().to_string();
        let filled = |text: &str| text.replace("<ca>", &path("ca.pem"));
        let (remote, tables) = (filled(remote), filled(tables));
        node.settings = format!(
            "[remote]\nlisten = \"{}:7443\"\ncertificate = \"{}\"\nkey = \"{}\"\n{remote}\n{tables}\n",
            pair.right.address,
            path("node.pem"),
            path("node.key")
        );
        node.restart().unwrap();
        Self { pair, node, authority, folder }
    }

    pub(crate) fn file(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    /// Replaces a file, as an administrator should: by renaming.
    pub(crate) fn put(&self, name: &str, content: &str) {
        fs::write(self.file("new"), content).unwrap();
        fs::rename(self.file("new"), self.file(name)).unwrap();
    }

    pub(crate) fn sign(&self, name: &str) -> Identity {
        self.authority.sign(name, &[name], YEARS_AHEAD).unwrap()
    }

    /// Runs `l3af` on the other machine.
    pub(crate) fn l3af(&self, flags: &[&str], arguments: &[&str]) -> Ran {
        let url = format!("https://{}:7443", self.pair.right.address);
        let output = std::process::Command::new("nsenter")
            .arg(format!("--net=/run/netns/{}", self.pair.left.namespace))
            .arg(binary("l3af").unwrap())
            .args(["--node", &url])
            .args(flags)
            .args(arguments)
            .output()
            .unwrap();
        output.into()
    }

    /// The same with a certificate.
    pub(crate) fn with(&self, identity: &Identity, arguments: &[&str]) -> Ran {
        let (certificate, key) = (text(&identity.certificate), text(&identity.key));
        let ca = text(&self.file("ca.pem"));
        self.l3af(&["--tls-ca", &ca, "--tls-cert", &certificate, "--tls-key", &key], arguments)
    }

    /// The same with a token.
    fn bearing(&self, token: &str, arguments: &[&str]) -> Ran {
        fs::write(self.file("token"), token).unwrap();
        let (ca, token) = (text(&self.file("ca.pem")), text(&self.file("token")));
        self.l3af(&["--tls-ca", &ca, "--token-file", &token], arguments)
    }

    /// Asks with `curl` from the other machine; the answer is that with its head.
    pub(crate) fn curl(&self, arguments: &str) -> Result<String, String> {
        let asked = format!("curl -s -i -m 30 --cacert {} {arguments}", self.file("ca.pem").display());
        run_in(
            &self.pair.left.namespace,
            &asked.replace("URL", &format!("https://{}:7443", self.pair.right.address)),
        )
        .map_err(|error| format!("{error:#}"))
    }
}

pub(crate) fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn shown(identity: &Identity) -> String {
    format!("--cert {} --key {}", identity.certificate.display(), identity.key.display())
}

const WATCH: &str = "[access]\nread_only = [\"certificate:watch.example.org\"]\n";

#[test]
fn a_certificate_that_the_authority_signed_lets_in_and_no_other_does() {
    let scene = Scene::new("client_roots = \"<ca>\"", WATCH);
    let watch = scene.sign("watch.example.org");
    let status = scene.with(&watch, &["status"]).success().unwrap();
    assert!(status.contains("converged"), "{status}");
    let refused = scene.with(&watch, &["stop", "--all"]);
    assert!(refused.stderr.contains("`certificate:watch.example.org` may not stop"), "{}", refused.stderr);
    assert!(refused.stderr.contains("no policy permits it"), "{}", refused.stderr);
    // Who is signed for may come in, and without a role do nothing.
    let stranger = scene.with(&scene.sign("other.example.org"), &["status"]);
    assert!(stranger.stderr.contains("may not read"), "{}", stranger.stderr);

    let ca = text(&scene.file("ca.pem"));
    let nobody = scene.l3af(&["--tls-ca", &ca], &["status"]);
    assert!(!nobody.ok && nobody.stderr.contains("`--tls-cert`"), "{}", nobody.stderr);
    let elsewhere = Authority::new().unwrap();
    let forged = elsewhere.sign("watch.example.org", &["watch.example.org"], YEARS_AHEAD).unwrap();
    assert!(!scene.with(&forged, &["status"]).ok);
    let old = scene.authority.sign("old", &["watch.example.org"], 2020).unwrap();
    assert!(!scene.with(&old, &["status"]).ok);
    // Nor does a node count whose authority is another, or one of this machine.
    let own = scene.l3af(&["--tls-ca", &text(&elsewhere.file())], &["status"]);
    assert!(own.stderr.contains("no daemon answers at `https://"), "{}", own.stderr);
    assert!(own.stderr.contains("hint: `--tls-ca` names the authority"), "{}", own.stderr);
    // TLS is all that is spoken there.
    let plain = format!("curl -s -m 10 http://{}:7443/healthz", scene.pair.right.address);
    assert!(run_in(&scene.pair.left.namespace, &plain).is_err());
    assert!(scene.with(&watch, &["status"]).ok);
}

#[test]
fn tls_1_2_is_spoken_where_that_is_configured_only() {
    let mut scene = Scene::new("client_roots = \"<ca>\"", WATCH);
    let watch = scene.sign("watch.example.org");
    let old = format!("--tls-max 1.2 {} URL/v1/status", shown(&watch));
    assert!(scene.curl(&old).is_err());
    assert!(scene.curl(&old.replace("--tls-max 1.2", "")).unwrap().starts_with("HTTP/1.1 200"));
    scene.node.settings = scene.node.settings.replace("client_roots", "min_tls = \"1.2\"\nclient_roots");
    scene.node.restart().unwrap();
    assert!(scene.curl(&old).unwrap().starts_with("HTTP/1.1 200"));
}

#[test]
fn names_in_certificates_say_who_may_come_in() {
    let rules = "client_names = [\"watch.example.org\", \"regex:spiffe://example/(a|b)\"]";
    let access =
        WATCH.replace("watch.example.org\"", "spiffe://example/a\", \"certificate:watch.example.org\"");
    let scene = Scene::new(&format!("client_roots = \"<ca>\"\n{rules}"), &access);
    assert!(scene.with(&scene.sign("watch.example.org"), &["status"]).ok);
    let uri = |name: &str, uri: &str| scene.authority.sign(name, &[uri], YEARS_AHEAD).unwrap();
    assert!(scene.with(&uri("a", "spiffe://example/a"), &["status"]).ok);
    let longer = scene.with(&uri("ab", "spiffe://example/ab"), &["status"]);
    assert!(longer.stderr.contains("of nobody whom this node lets in"), "{}", longer.stderr);
    assert!(longer.stderr.contains("it has the names `spiffe://example/ab`"), "{}", longer.stderr);
}

#[test]
fn there_is_no_way_to_be_served_over_tcp_without_tls() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("l3afd.toml");
    fs::write(&config, "[remote]\nlisten = \"127.0.0.1:7443\"\nclient_roots = \"ca.pem\"\n").unwrap();
    let output = std::process::Command::new(binary("l3afd").unwrap()).arg("--config").arg(&config).output();
    let ran = Ran::from(output.unwrap());
    assert!(!ran.ok && ran.stderr.contains("there is no way to serve it without"), "{}", ran.stderr);
    let socket = folder.path().join("none").display().to_string();
    let asked = std::process::Command::new(binary("l3af").unwrap())
        .args(["--node", "http://127.0.0.1:7443", "--tls-ca", &socket, "status"])
        .output();
    assert!(!asked.unwrap().status.success());
    // What is done without the daemon is done on this machine, and to no other.
    let detach = std::process::Command::new(binary("l3af").unwrap())
        .args(["--node", "https://127.0.0.1:7443", "detach", "--all"])
        .output();
    let ran = Ran::from(detach.unwrap());
    assert!(!ran.ok && ran.stderr.contains("`l3af detach` is for this machine"), "{}", ran.stderr);
}

#[test]
fn certificates_are_exchanged_while_connections_go_on() {
    let scene = Scene::new("client_roots = \"<ca>\"\nwarn_days = 65535", WATCH);
    let watch = scene.sign("watch.example.org");
    // That a certificate ends is told long before.
    let notices = scene.node.status().unwrap().notices;
    assert!(notices.iter().any(|notice| notice.contains("the certificate of the node")), "{notices:?}");
    let metrics = scene.curl(&format!("{} URL/metrics", shown(&watch))).unwrap();
    assert!(metrics.contains("l3af_certificate_not_after_seconds{certificate=\"node\""), "{metrics}");

    let mut following = std::process::Command::new("nsenter")
        .arg(format!("--net=/run/netns/{}", scene.pair.left.namespace))
        .arg(binary("l3af").unwrap())
        .args(["--node", &format!("https://{}:7443", scene.pair.right.address)])
        .args(["--tls-ca", &text(&scene.file("ca.pem")), "--tls-cert", &text(&watch.certificate)])
        .args(["--tls-key", &text(&watch.key), "events", "-f"])
        .stdout(fs::File::create(scene.file("followed")).unwrap())
        .spawn()
        .unwrap();
    let followed = || fs::read_to_string(scene.file("followed")).unwrap();
    scene.node.wait("it is connected", || followed().contains("expires at"));

    // A file that cannot be used is told, and what was there stays.
    let good = fs::read_to_string(scene.file("node.pem")).unwrap();
    scene.put("node.pem", "broken");
    scene.node.hang_up().unwrap();
    let told = |words: &str| scene.node.status().unwrap().notices.iter().any(|notice| notice.contains(words));
    scene.node.wait("it is told", || told("node.pem` has no certificate"));
    assert!(scene.with(&watch, &["status"]).ok);
    scene.put("node.pem", &good);
    scene.node.wait("that is over", || !told("has no certificate"));

    // Another authority of clients: those of before come in no more, and the connection that is there goes on.
    let next = Authority::new().unwrap();
    scene.put("ca.pem", &next.pem());
    let ca = text(&scene.authority.file());
    let asks = |identity: &Identity| {
        let (certificate, key) = (text(&identity.certificate), text(&identity.key));
        scene.l3af(&["--tls-ca", &ca, "--tls-cert", &certificate, "--tls-key", &key], &["status"])
    };
    let newcomer = next.sign("watch", &["watch.example.org"], YEARS_AHEAD).unwrap();
    scene.node.wait("the new authority counts", || asks(&newcomer).ok);
    assert!(!asks(&watch).ok);
    scene.node.apply(&packages().document("right0", &["sanity"])).unwrap().success().unwrap();
    scene.node.wait("the connection goes on", || followed().contains("generation 1"));
    following.kill().unwrap();
    following.wait().unwrap();
}

#[test]
fn a_token_of_the_issuer_says_who_calls() {
    let oidc = format!("[remote.oidc]\nissuer = \"{}\"\naudience = \"l3afd\"\n", Provider::ISSUER);
    let access = "[access]\nadmin = [\"token-group:ops\"]\nread_only = [\"token:bob\"]\n";
    let mut scene = Scene::new("", &format!("{oidc}{access}"));
    let users = ["{\"sub\": \"alice\", \"groups\": [\"ops\", \"dev\"]}", "{\"sub\": \"bob\"}"];
    let users = users.map(|user| user.replace(' ', ""));
    let users: Vec<&str> = users.iter().map(String::as_str).collect();

    let answer = scene.curl("URL/v1/status").unwrap();
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    assert!(answer.contains("www-authenticate: Bearer realm=\"l3afd\"\r\n"), "{answer}");
    let provider = Provider::start(&scene.pair.right, &users).unwrap();
    let (alice, bob) = (provider.token("alice", "l3afd").unwrap(), provider.token("bob", "l3afd").unwrap());
    scene.bearing(&bob, &["status"]).success().unwrap();
    let refused = scene.bearing(&bob, &["stop", "--all"]);
    assert!(refused.stderr.contains("`token:bob` may not stop"), "{}", refused.stderr);
    let applied = scene.bearing(&alice, &["run", &packages().path("sanity"), "--on", "right0"]);
    applied.success().unwrap();
    let generations = scene.node.l3af(&["generations"]).unwrap();
    assert!(generations.contains("token:alice"), "{generations}");

    // For somebody else, changed, without a signature, signed with what is public.
    let other = scene.bearing(&provider.token("alice", "other").unwrap(), &["status"]);
    assert!(other.stderr.contains("it is not meant for `l3afd`"), "{}", other.stderr);
    let parts: Vec<&str> = alice.split('.').collect();
    let none = format!("eyJhbGciOiJub25lIn0.{}.", parts[1]);
    let symmetric = format!("eyJhbGciOiJIUzI1NiJ9.{}.{}", parts[1], parts[2]);
    let changed = format!("{}.{}.{}", parts[0], parts[1], bob.split('.').next_back().unwrap());
    for bad in [none, symmetric, changed, "x".to_owned()] {
        let refused = scene.bearing(&bad, &["status"]);
        assert!(!refused.ok && refused.stderr.contains("the token does not count"), "{}", refused.stderr);
    }
    fs::write(scene.file("header"), "Authorization: Bearer x").unwrap();
    let challenged = scene.curl(&format!("-H @{} URL/v1/status", scene.file("header").display())).unwrap();
    assert!(challenged.contains("error=\"invalid_token\", error_description="), "{challenged}");

    // New keys count when they come, and tokens of the old ones no more.
    drop(provider);
    let provider = Provider::start(&scene.pair.right, &users).unwrap();
    scene.node.wait("the new keys count", || {
        scene.bearing(&provider.token("bob", "l3afd").unwrap(), &["status"]).ok
    });
    assert!(!scene.bearing(&alice, &["status"]).ok);

    // Where certificates count as well, a caller shows either, or both: then the token says who it is.
    let roots = format!("[remote]\nclient_roots = \"{}\"\n", scene.file("ca.pem").display());
    scene.node.settings = scene.node.settings.replace("[remote]\n", &roots);
    scene.node.restart().unwrap();
    let token = provider.token("bob", "l3afd").unwrap();
    scene.bearing(&token, &["status"]).success().unwrap();
    let somebody = scene.sign("a.example.org");
    let refused = scene.with(&somebody, &["status"]);
    assert!(refused.stderr.contains("`certificate:a.example.org` may not read"), "{}", refused.stderr);
    fs::write(scene.file("token"), token).unwrap();
    let token = text(&scene.file("token"));
    scene.with(&somebody, &["--token-file", &token, "status"]).success().unwrap();
    assert!(scene.curl("URL/v1/status").unwrap().contains("`--token-file`"));
}
