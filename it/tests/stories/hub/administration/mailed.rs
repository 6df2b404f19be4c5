// SPDX-License-Identifier: Apache-2.0
//! Mail goes to those who confirmed their address, over a server that is known by its certificate and asks for a password.

use it::{Postgres, Smtp};
use serde_json::{Value, json};

use super::{Scene, call, version};

/// Has somebody mailed, as they confirm it.
fn confirm(scene: &Scene, smtp: &Smtp, (token, address): (&str, &str)) {
    call(&scene.hub, token, ("PUT", "account/mail"), &json!({ "address": address }), 202);
    let link = link(&smtp.wait_for(address, "Confirm your address").unwrap());
    let page = scene.hub.get(&format!("/mail/confirm?link={link}")).unwrap().text();
    assert!(page.contains("<button>Confirm"), "{page}");
    assert_eq!(call(&scene.hub, token, ("GET", "account/mail"), &Value::Null, 200)["confirmed"], false);
    let done = scene.hub.submit("/mail/confirm", &format!("link={link}"), None).unwrap();
    assert!(done.status == 200 && done.text().contains("is confirmed"), "{}", done.text());
    assert_eq!(scene.hub.submit("/mail/confirm", &format!("link={link}"), None).unwrap().status, 410);
}

/// The secret of the link in a letter, whose lines are folded as quoted-printable folds them.
fn link(letter: &str) -> String {
    let plain = letter.replace("=\r\n", "").replace("=\n", "").replace("=3D", "=");
    let (_, rest) = plain.split_once("?link=").unwrap();
    rest.split_whitespace().next().unwrap().to_owned()
}

fn through(mode: &'static str, database: &str) {
    let smtp = Smtp::start(mode).unwrap();
    let scene = Scene::new(&format!("{database}{}", smtp.configuration()));
    let (hub, boss) = (&scene.hub, scene.boss.clone());
    confirm(&scene, &smtp, (&scene.token("rita"), "rita@example.org"));
    confirm(&scene, &smtp, (&scene.token("anna"), "anna@example.org"));
    confirm(&scene, &smtp, (&boss, "boss@example.org"));
    scene.push(&version("1.0.0"), "steady");
    let letter = smtp.wait_for("rita@example.org", "l3af/steady 1.0.0 waits for a review").unwrap();
    for header in ["Auto-Submitted: auto-generated", "From: Packages <hub@example.org>", "Message-ID: <"] {
        assert!(letter.contains(header), "{letter}");
    }
    let key = scene.reviewers_key();
    let reference = hub.reference("l3af/steady:1.0.0");
    scene.l3af("rita", &["review", "approve", &reference, "--key", &key, "--text", "fine"]);
    smtp.wait_for("anna@example.org", "l3af/steady 1.0.0 was released").unwrap();
    let report = json!({ "publisher": "l3af", "name": "steady", "class": "abuse", "text": "spam\r\nBcc: eve@example.org" });
    call(hub, &scene.token("rita"), ("POST", "reports"), &report, 201);
    smtp.wait_for("boss@example.org", "Reported: package l3af/steady").unwrap();
    let down = json!({ "publisher": "l3af", "name": "steady", "class": "abuse", "reason": "spam" });
    call(hub, &boss, ("POST", "takedowns"), &down, 201);
    smtp.wait_for("anna@example.org", "was taken down").unwrap();
    // What is one's own nobody is asked to review.
    let letters = smtp.letters().unwrap();
    let to_anna = |letter: &&Value| letter["to"][0] == "anna@example.org";
    let asked = |letter: &Value| letter["text"].as_str().unwrap().contains("waits for a review");
    assert!(!letters.iter().filter(to_anna).any(asked), "{letters:#?}");
    assert!(letters.iter().all(|letter| letter["tls"] == json!(mode != "none")), "{letters:#?}");
    assert!(letters.iter().all(|letter| letter["to"].as_array().unwrap().len() == 1), "{letters:#?}");
}

#[test]
fn people_are_told_over_starttls_and_a_password() {
    through("starttls", "");
}

#[test]
fn people_are_told_over_tls_and_a_password_also_by_what_postgresql_keeps() {
    let database = Postgres::start().unwrap();
    through("tls", &format!("database = '{}'\n", database.url()));
}

#[test]
fn what_the_server_refuses_is_seen_and_tried_again_and_what_is_unwanted_is_not_written() {
    let smtp = Smtp::start("none").unwrap();
    let scene = Scene::without_reviewers_with(&smtp.configuration());
    let (hub, boss, anna) = (&scene.hub, scene.boss.clone(), scene.token("anna"));
    for address in ["anna", "a@example.org\r\nBcc: eve@example.org", "a@example.org,eve@example.org"] {
        call(hub, &anna, ("PUT", "account/mail"), &json!({ "address": address }), 400);
    }
    smtp.refuse(Some("550 nobody of that name")).unwrap();
    call(hub, &anna, ("PUT", "account/mail"), &json!({ "address": "anna@example.org" }), 202);
    let dead = || call(hub, &boss, ("GET", "mail?state=dead"), &Value::Null, 200)["items"].clone();
    hub.wait("it is given up", || dead()[0]["problem"].is_string());
    assert!(dead()[0]["problem"].as_str().unwrap().contains("nobody of that name"), "{}", dead());
    assert_eq!(smtp.letters().unwrap(), Vec::<Value>::new());
    call(hub, &anna, ("GET", "mail"), &Value::Null, 403);
    // It is not answered for good: tried again by itself.
    smtp.refuse(Some("451 later")).unwrap();
    let retry = format!("mail/{}/retry", dead()[0]["id"].as_str().unwrap());
    call(hub, &boss, ("POST", &retry), &Value::Null, 204);
    let waiting = || call(hub, &boss, ("GET", "mail?state=waiting"), &Value::Null, 200)["items"].clone();
    hub.wait("it was tried", || waiting()[0]["problem"].as_str().is_some_and(|said| said.contains("later")));
    smtp.refuse(None).unwrap();
    let letter = smtp.wait_for("anna@example.org", "Confirm your address").unwrap();
    let done = hub.submit("/mail/confirm", &format!("link={}", link(&letter)), None).unwrap();
    assert_eq!(done.status, 200);
    call(hub, &anna, ("PUT", "account/mail/unwanted"), &json!({ "kinds": ["decisions"] }), 204);
    scene.push(&version("1.0.0"), "steady");
    let down = json!({ "publisher": "l3af", "name": "steady", "class": "abuse", "reason": "spam" });
    call(hub, &boss, ("POST", "takedowns"), &down, 201);
    smtp.wait_for("anna@example.org", "was taken down").unwrap();
    let letters = smtp.letters().unwrap();
    assert!(
        !letters.iter().any(|letter| letter["text"].as_str().unwrap().contains("was released")),
        "{letters:#?}"
    );
}

#[test]
fn a_password_is_not_sent_in_the_clear_and_a_hub_without_a_server_says_so() {
    let scene = Scene::new("");
    let told = call(
        &scene.hub,
        &scene.token("anna"),
        ("PUT", "account/mail"),
        &json!({ "address": "a@example.org" }),
        400,
    );
    assert!(super::title(&told).contains("sends no mail"), "{told}");
    let clear = "[mail]\nserver = 'localhost'\ntls = 'none'\nfrom = 'a@example.org'\nuser = 'a'\npassword_file = '/dev/null'\n";
    let refused = it::Hub::start_with(clear).unwrap_err().to_string();
    assert!(refused.contains("a password is not sent in the clear"), "{refused}");
}
