// SPDX-License-Identifier: Apache-2.0
//! What happens to packages, as others hear of it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::Scene;
use crate::packages;

/// A request as it came.
#[derive(Debug, Clone)]
struct Told {
    id: String,
    timestamp: String,
    signature: String,
    body: String,
}

impl Told {
    fn read(stream: &TcpStream) -> Self {
        let mut reader = BufReader::new(stream);
        let lines: Vec<String> =
            reader.by_ref().lines().map(Result::unwrap).take_while(|line| !line.is_empty()).collect();
        let field = |wanted: &str| {
            let fields = lines.iter().filter_map(|line| line.split_once(": "));
            let mut found = fields.filter(|(name, _)| name.eq_ignore_ascii_case(wanted));
            found.next().map(|(_, value)| value.to_owned()).unwrap()
        };
        let mut body = vec![0; field("content-length").parse().unwrap()];
        reader.read_exact(&mut body).unwrap();
        Self {
            id: field("webhook-id"),
            timestamp: field("webhook-timestamp"),
            signature: field("webhook-signature"),
            body: String::from_utf8(body).unwrap(),
        }
    }
}

/// Somebody who wants to hear, and answers with one status after the other, and with the last for ever.
struct Listener {
    url: String,
    told: Arc<Mutex<Vec<Told>>>,
}

impl Listener {
    fn answering(statuses: &'static [&'static str]) -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/told", socket.local_addr().unwrap());
        let told = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&told);
        // It ends with the process of the story.
        thread::spawn(move || {
            for (number, stream) in socket.incoming().enumerate() {
                let mut stream = stream.unwrap();
                heard.lock().unwrap().push(Told::read(&stream));
                let status = statuses[number.min(statuses.len() - 1)];
                let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
                stream.write_all(answer.as_bytes()).unwrap();
            }
        });
        Self { url, told }
    }

    /// What it was told of this kind.
    fn of_kind(&self, kind: &str) -> Vec<Told> {
        let is_it = |told: &&Told| serde_json::from_str::<Value>(&told.body).unwrap()["kind"] == kind;
        self.told.lock().unwrap().iter().filter(is_it).cloned().collect()
    }
}

/// A hub that releases without reviewers and tells anybody.
fn scene() -> Scene {
    Scene::new("[review]\napprovals = 0\n[webhooks]\nanywhere = true\n")
}

fn add(scene: &Scene, handle: &str, url: &str) -> (u16, Value) {
    let new = json!({ "publisher": "l3af", "url": url });
    let reply = scene.hub.call(&scene.token(handle), "POST", "/api/v1/webhooks", Some(&new)).unwrap();
    (reply.status, reply.json().unwrap())
}

/// The tag of HMAC-SHA-256, as `openssl` computes it.
fn hmac(secret: &str, message: &str) -> String {
    let key = BASE64_STANDARD.decode(secret.trim_start_matches("whsec_")).unwrap();
    let hex = it::hex(&key);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("message");
    std::fs::write(&file, message).unwrap();
    let computed = std::process::Command::new("openssl")
        .args(["dgst", "-sha256", "-mac", "HMAC", "-macopt", &format!("hexkey:{hex}"), "-binary"])
        .arg(&file)
        .output()
        .unwrap();
    BASE64_STANDARD.encode(computed.stdout)
}

#[test]
fn a_release_is_told_until_it_arrives_and_each_time_signed() {
    let scene = scene();
    let listener = Listener::answering(&["500 Broken", "200 OK"]);
    let (status, webhook) = add(&scene, "anna", &listener.url);
    assert_eq!(status, 201, "{webhook:#}");
    scene.push(&packages().path("sanity"), "sanity");
    scene.hub.wait("the release is told", || !listener.of_kind("released").is_empty());
    let path = format!("/api/v1/webhooks/{}/deliveries", webhook["id"].as_str().unwrap());
    let deliveries = || scene.hub.call(&scene.token("anna"), "GET", &path, None).unwrap().json().unwrap();
    let all = |deliveries: &Value, arrived: fn(&Value) -> bool| {
        deliveries["items"].as_array().is_some_and(|items| !items.is_empty() && items.iter().all(arrived))
    };
    // The first was refused, and comes again.
    scene.hub.wait("all of it arrives", || all(&deliveries(), |item| item["answer"] == "200 OK"));
    let deliveries = deliveries();
    assert!(all(&deliveries, |item| item.get("due").is_none()), "{deliveries:#}");
    let items = deliveries["items"].as_array().unwrap();
    let attempts: u64 = items.iter().map(|item| item["attempts"].as_u64().unwrap()).sum();
    assert!(attempts > items.len() as u64, "{deliveries:#}");
    let told = listener.of_kind("released").remove(0);
    let body: Value = serde_json::from_str(&told.body).unwrap();
    assert_eq!(
        (&body["package"], &body["version"], &body["id"]),
        (&json!("sanity"), &json!("0.1.0"), &json!(told.id))
    );
    let message = format!("{}.{}.{}", told.id, told.timestamp, told.body);
    assert_eq!(told.signature, format!("v1,{}", hmac(webhook["secret"].as_str().unwrap(), &message)));
}

#[test]
fn who_says_to_be_gone_is_told_no_more() {
    let scene = scene();
    let listener = Listener::answering(&["410 Gone"]);
    let (_, webhook) = add(&scene, "anna", &listener.url);
    scene.push(&packages().path("sanity"), "sanity");
    let listed = || {
        let path = "/api/v1/webhooks?publisher=l3af";
        scene.hub.call(&scene.token("anna"), "GET", path, None).unwrap().json().unwrap()["items"][0].clone()
    };
    scene.hub.wait("it is gone", || listed().get("gone").is_some());
    let path = format!("/api/v1/webhooks/{}", webhook["id"].as_str().unwrap());
    assert_eq!(scene.hub.call(&scene.token("anna"), "DELETE", &path, None).unwrap().status, 204);
    assert_eq!(listed(), Value::Null);
}

#[test]
fn webhooks_are_for_those_who_look_after_the_packages_and_lead_to_the_internet() {
    let scene = Scene::new("");
    for url in [
        "http://example.org/",
        "https://127.0.0.1/",
        "https://[::1]:8520/",
        "https://169.254.169.254/",
        "ftp://a/",
        "",
    ] {
        assert_eq!(add(&scene, "anna", url).0, 400, "{url}");
    }
    assert_eq!(add(&scene, "rita", "https://example.org/").0, 403);
    let (status, webhook) = add(&scene, "anna", "https://example.org/");
    assert_eq!(status, 201);
    let path = format!("/api/v1/webhooks/{}", webhook["id"].as_str().unwrap());
    assert_eq!(scene.hub.call(&scene.token("rita"), "DELETE", &path, None).unwrap().status, 403);
    // Those about all packages are for administrators.
    let all = json!({ "url": "https://example.org/" });
    assert_eq!(
        scene.hub.call(&scene.token("anna"), "POST", "/api/v1/webhooks", Some(&all)).unwrap().status,
        403
    );
    assert_eq!(scene.hub.call(&scene.boss, "POST", "/api/v1/webhooks", Some(&all)).unwrap().status, 201);
}

#[test]
fn feeds_tell_what_everybody_may_know() {
    let scene = scene();
    let feed = |path: &str| {
        let reply = scene.hub.get(path).unwrap();
        assert_eq!(
            (reply.status, reply.header("content-type")),
            (200, Some("application/atom+xml; charset=utf-8"))
        );
        reply.text()
    };
    assert!(!feed("/feeds/all.atom").contains("<entry>"));
    scene.push(&packages().path("sanity"), "sanity");
    scene.hub.wait("it is released", || feed("/feeds/all.atom").contains("<entry>"));
    let yank = ["yank", &scene.hub.reference("l3af/sanity:0.1.0"), "--reason", "it counts <twice> & more"];
    scene.l3af("anna", &yank);
    for path in ["/feeds/all.atom", "/feeds/publishers/l3af.atom", "/feeds/packages/l3af/sanity.atom"] {
        let text = feed(path);
        let kinds = |kind: &str| text.matches(&format!("<category term=\"{kind}\"/>")).count();
        assert_eq!((kinds("released"), kinds("yanked"), kinds("submitted")), (1, 1, 0), "{path}: {text}");
        assert!(text.find("yanked") < text.find("released"), "the latest comes first");
        // It is read as XML, and what people wrote is text in it.
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("feed.xml");
        std::fs::write(&file, &text).unwrap();
        let read = "import sys, xml.etree.ElementTree as t; \
                    print([e.text for e in t.parse(sys.argv[1]).iter('{http://www.w3.org/2005/Atom}content')][0])";
        let python = std::process::Command::new("python3").args(["-c", read]).arg(&file).output().unwrap();
        assert_eq!(String::from_utf8(python.stdout).unwrap().trim(), "it counts <twice> & more");
    }
    assert!(!feed("/feeds/publishers/nobody.atom").contains("<entry>"));
    assert_eq!(scene.hub.get("/feeds/publishers/l3af").unwrap().status, 404);
}
