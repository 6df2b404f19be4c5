// SPDX-License-Identifier: Apache-2.0
//! People who log in by an issuer, from the page of the hub to the page of the provider and back.

use it::{Browser, OidcProvider};
use serde_json::{Value, json};

use super::{OWN, Scene};

#[test]
fn who_logs_in_for_the_first_time_has_a_new_account_and_the_same_one_later() {
    let scene = Scene::new();
    let hub = &scene.hub;
    let page = hub.get("/login?next=/packages").unwrap().text();
    assert!(page.contains("Log in by The Corporation") && page.contains("type=\"password\""), "{page}");
    assert!(page.contains("href=\"/login/corp?next=%2Fpackages\""), "{page}");
    let mut browser = Browser::default();
    let own = scene.log_in(&mut browser, "Alice", OWN);
    let account = own.reply.json().unwrap();
    assert_eq!((&account["handle"], &account["role"]), (&json!("alice"), &json!("reader")));
    assert_eq!(account["name"], "Alice of the story");
    assert!(browser.cookie(&hub.url(), "l3af_session").is_some());
    assert!(browser.cookie(&hub.url(), "l3af_journey").is_none(), "it is forgotten");
    // Another browser, the same person.
    let own = scene.log_in(&mut Browser::default(), "Alice", OWN);
    assert_eq!(own.reply.json().unwrap()["handle"], "alice");
    let listed = scene.call(&scene.admin, ("GET", "/api/v1/accounts/alice/identities"), &Value::Null, 200);
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    assert_eq!(listed["items"][0]["subject"], "Alice");
    let record = scene.call(&scene.admin, ("GET", "/api/v1/audit?limit=1000"), &Value::Null, 200);
    let actions: Vec<&str> =
        record["items"].as_array().unwrap().iter().filter_map(|entry| entry["action"].as_str()).collect();
    assert!(actions.ends_with(&["account.create", "identity.link", "session.begin", "session.begin"]));
}

#[test]
fn a_name_that_somebody_has_is_not_given_away() {
    let scene = Scene::new();
    // What an issuer calls somebody does not make them that account.
    let own = scene.log_in(&mut Browser::default(), "boss", OWN).reply.json().unwrap();
    assert_eq!((&own["handle"], &own["role"]), (&json!("boss-2"), &json!("reader")));
    scene.hub.add_publisher("acme").unwrap();
    let own = scene.log_in(&mut Browser::default(), "acme", OWN).reply.json().unwrap();
    assert_eq!(own["handle"], "acme-2");
}

#[test]
fn who_is_logged_in_already_links_the_login_to_the_account_and_unlinks_it() {
    let scene = Scene::with("first_login = 'linked'");
    let hub = &scene.hub;
    let refused = scene.log_in(&mut Browser::default(), "anna", OWN);
    assert_eq!(refused.reply.status, 403);
    assert!(refused.reply.text().contains("no account is linked to your login"), "{}", refused.reply.text());
    let person = hub.add_account(&scene.admin, "anna-at-home", "contributor").unwrap();
    let mut browser = Browser::default();
    let login = browser.open(&format!("{}/login?next={OWN}", hub.url())).unwrap();
    let fields = [("handle", person.handle.as_str()), ("password", person.password.as_str())];
    assert_eq!(browser.submit(&login, &fields).unwrap().reply.status, 303);
    let asked = scene.log_in(&mut browser, "anna", OWN);
    assert!(asked.reply.text().contains("Link it to anna-at-home"), "{}", asked.reply.text());
    // In another browser, which is logged in as somebody else, it is of no use.
    let mut other = Browser::default();
    let login = other.open(&format!("{}/login", hub.url())).unwrap();
    let boss = [("handle", "boss"), ("password", "the password of boss")];
    assert_eq!(other.submit(&login, &boss).unwrap().reply.status, 303);
    assert_eq!(other.submit(&asked, &[]).unwrap().reply.status, 400);
    let linked = browser.submit(&asked, &[]).unwrap();
    assert_eq!(linked.reply.header("location"), Some(OWN));
    assert_eq!(browser.submit(&asked, &[]).unwrap().reply.status, 400, "it counts once");
    let own = scene.log_in(&mut Browser::default(), "anna", OWN).reply.json().unwrap();
    assert_eq!(own["handle"], "anna-at-home");
    let token = hub.token(&person, &super::ALL).unwrap();
    let listed = scene.call(&token, ("GET", "/api/v1/account/identities"), &Value::Null, 200);
    let id = listed["items"][0]["id"].as_str().unwrap();
    scene.call(&token, ("DELETE", &format!("/api/v1/account/identities/{id}")), &Value::Null, 204);
    assert_eq!(scene.log_in(&mut Browser::default(), "anna", OWN).reply.status, 403);
}

#[test]
fn an_administrator_invites_by_what_the_issuer_calls_somebody_for_ever() {
    let scene = Scene::with("first_login = 'linked'\nrole = 'contributor'");
    let wanted = json!({ "handle": "carol", "role": "reviewer" });
    scene.call(&scene.admin, ("POST", "/api/v1/accounts"), &wanted, 201);
    let of_carol = ("POST", "/api/v1/accounts/carol/identities");
    let issuer = &scene.provider.issuer;
    scene.call(&scene.admin, of_carol, &json!({ "issuer": "https://a.example", "subject": "c" }), 404);
    scene.call(&scene.admin, of_carol, &json!({ "issuer": issuer, "subject": "c-77" }), 201);
    scene.call(&scene.admin, of_carol, &json!({ "issuer": issuer, "subject": "c-77" }), 409);
    let mut browser = Browser::default();
    let own = scene.log_in(&mut browser, "c-77", OWN).reply.json().unwrap();
    assert_eq!((&own["handle"], &own["role"]), (&json!("carol"), &json!("reviewer")));
    // Whoever has no password cannot cut off the only way in.
    let cookie = format!("l3af_session={}", browser.cookie(&scene.hub.url(), "l3af_session").unwrap());
    let listed = scene.hub.ask("GET", "/api/v1/account/identities").header("Cookie", &cookie).send().unwrap();
    let id = listed.json().unwrap()["items"][0]["id"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/account/identities/{id}");
    let kept = scene.hub.ask("DELETE", &path).header("Cookie", &cookie).send().unwrap();
    assert!(kept.status == 400 && kept.text().contains("the only way"), "{}", kept.text());
    let close = json!({ "closed": true });
    scene.call(&scene.admin, ("PATCH", "/api/v1/accounts/carol"), &close, 200);
    let refused = scene.log_in(&mut Browser::default(), "c-77", OWN);
    assert!(refused.reply.status == 403 && refused.reply.text().contains("the account was closed"));
}

#[test]
fn a_hub_to_which_the_issuer_gives_no_secret_proves_itself_by_the_verifier() {
    let mut scene = Scene::new();
    let secret = scene.hub.settings.lines().find(|line| line.starts_with("secret_file")).unwrap().to_owned();
    let client = format!("id = '{}'", OidcProvider::CLIENT);
    let public = format!("id = '{}'", OidcProvider::PUBLIC_CLIENT);
    scene.hub.settings = scene.hub.settings.replace(&secret, "").replace(&client, &public);
    scene.hub.restart().unwrap();
    let own = scene.log_in(&mut Browser::default(), "alice", OWN).reply;
    assert_eq!(own.json().unwrap()["handle"], "alice");
    // With the id of the one that has a secret, and without it, the provider gives nothing.
    scene.hub.settings = scene.hub.settings.replace(&public, &client);
    scene.hub.restart().unwrap();
    let refused = scene.log_in(&mut Browser::default(), "alice", OWN).reply;
    assert!(refused.status == 401 && refused.text().contains("invalid_client"), "{}", refused.text());
}

#[test]
fn a_hub_without_passwords_gets_its_administrator_by_the_issuer() {
    let mut scene = Scene::new();
    scene.hub.settings = scene.hub.settings.replace("[access]\n", "[access]\npasswords = false\n");
    scene.hub.restart().unwrap();
    let hub = &scene.hub;
    let page = hub.get("/login").unwrap().text();
    assert!(page.contains("Log in by The Corporation") && !page.contains("type=\"password\""), "{page}");
    let refused = hub.submit("/login", "handle=boss&password=the+password+of+boss", None).unwrap();
    assert!(refused.status == 401 && refused.text().contains("takes no passwords"), "{}", refused.text());
    let link = hub.administer(&["administrator", "--new-link"]).unwrap().success().unwrap();
    let mut browser = Browser::default();
    let login = browser.open(link.trim()).unwrap().reply.text();
    let way = login.split("href=\"").nth(1).unwrap().split('"').next().unwrap();
    let page = browser.follow(&format!("{}{}", hub.url(), way.replace("&#38;", "&"))).unwrap();
    let page = scene.provider.log_in(&mut browser, page, "dora", |_| false).unwrap();
    assert!(
        page.reply.text().contains("You are logged in as <strong>dora</strong>"),
        "{}",
        page.reply.text()
    );
    assert_eq!(browser.submit(&page, &[]).unwrap().reply.status, 303);
    let own = browser.open(&format!("{}{OWN}", hub.url())).unwrap().reply.json().unwrap();
    assert_eq!((&own["handle"], &own["role"]), (&json!("dora"), &json!("administrator")));
}
