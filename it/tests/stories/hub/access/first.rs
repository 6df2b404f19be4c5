// SPDX-License-Identifier: Apache-2.0
//! The first administrator, browsers that log in, and passwords that are tried in vain.

use it::{Hub, Person};

use super::scene;

#[test]
fn the_first_administrator_comes_by_a_link_that_counts_once() {
    let mut hub = Hub::start_with("[access]\n").unwrap();
    let link = hub.administrator_link().unwrap();
    let page = hub.get(&link).unwrap();
    assert!(page.status == 200 && page.text().contains("Become the administrator"), "{}", page.text());
    assert_eq!(page.header("referrer-policy"), Some("no-referrer"));
    let short = Person { handle: "boss".to_owned(), password: "short".to_owned() };
    let refused = hub.follow(&link, &short).unwrap();
    assert!(refused.status == 400 && refused.text().contains("15 characters"), "{}", refused.text());
    let boss = Person::new("boss");
    assert_eq!(hub.follow(&link, &boss).unwrap().status, 303);
    let again = hub.follow(&link, &Person::new("thief")).unwrap();
    assert!(again.status == 410 && again.text().contains("does not count"), "{}", again.text());
    assert_eq!(hub.follow("/administrator?link=l3af_guessed", &boss).unwrap().status, 410);
    let said = hub.log().len();
    hub.restart().unwrap();
    assert!(!hub.log()[said..].contains("/administrator?link="), "there is one already");
}

#[test]
fn whoever_runs_the_hub_can_make_another_link_when_the_password_is_lost() {
    let (hub, boss, token) = scene();
    let printed = hub.administer(&["administrator", "--new-link"]).unwrap().success().unwrap();
    let link = printed.trim().strip_prefix(&hub.url()).unwrap().to_owned();
    let renewed = Person { password: "another password of boss".to_owned(), ..boss.clone() };
    assert_eq!(hub.follow(&link, &renewed).unwrap().status, 303);
    assert!(hub.token(&boss, &["api:read"]).is_err(), "the old password counts no more");
    hub.token(&renewed, &["api:read"]).unwrap();
    assert_eq!(hub.call(&token, "GET", "/api/v1/account", None).unwrap().status, 200);
}

#[test]
fn a_browser_is_logged_in_until_it_logs_out() {
    let (hub, boss, _) = scene();
    let form = |next: &str| {
        format!("handle={}&password={}&next={next}", boss.handle, boss.password.replace(' ', "+"))
    };
    let reply = hub.submit("/login", &form("/packages"), None).unwrap();
    assert_eq!((reply.status, reply.header("location")), (303, Some("/packages")));
    let cookie = reply.header("set-cookie").unwrap().to_owned();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"), "{cookie}");
    let cookie = cookie.split(';').next().unwrap();
    let own = || hub.ask("GET", "/api/v1/account").header("Cookie", cookie).send().unwrap();
    assert_eq!(own().json().unwrap()["handle"], "boss");
    let foreign =
        hub.ask("POST", "/logout").header("Cookie", cookie).header("Origin", "https://evil.example");
    assert_eq!(foreign.body("").send().unwrap().status, 403, "a page elsewhere acts for nobody");
    assert_eq!(own().status, 200);
    assert_eq!(hub.submit("/logout", "", Some(cookie)).unwrap().status, 303);
    assert_eq!(own().status, 401);
    let away = hub.submit("/login", &form("//evil.example/"), None).unwrap();
    assert_eq!(away.header("location"), Some("/"));
}

#[test]
fn who_guesses_passwords_has_to_wait_longer_and_longer() {
    let (hub, boss, _) = scene();
    let guess = |handle: &str| {
        let form = format!("handle={handle}&password=a+wrong+password+again");
        hub.submit("/login", &form, None).unwrap()
    };
    for _ in 0..11 {
        let reply = guess("boss");
        assert_eq!(reply.status, 401);
        assert!(reply.text().contains("nobody has this handle with this password"), "{}", reply.text());
    }
    let reply = guess("boss");
    assert_eq!(reply.status, 429);
    assert!(reply.header("retry-after").unwrap().parse::<u64>().unwrap() >= 1);
    assert_eq!(guess("nobody").status, 429, "the address waits, whoever it tries");
    let right = hub.call(&boss.basic(), "POST", "/api/v1/tokens", None).unwrap();
    assert_ne!(right.status, 201, "also the right password waits");
}
