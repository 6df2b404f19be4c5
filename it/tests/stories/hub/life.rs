// SPDX-License-Identifier: Apache-2.0
//! A hub starts with nothing but a folder, ends when it is told to, and starts again.

use it::Hub;

#[test]
fn a_hub_needs_a_folder_and_answers_again_after_any_end() {
    let mut hub = Hub::start().unwrap();
    assert_eq!(hub.get("/healthz").unwrap().text(), "ok\n");
    hub.kill().unwrap();
    hub.restart().unwrap();
    assert_eq!(hub.get("/healthz").unwrap().status, 200);
    hub.end().unwrap();
    hub.restart().unwrap();
    assert_eq!(hub.get("/healthz").unwrap().status, 200);
}

#[test]
fn a_publisher_has_a_name_that_no_other_has() {
    let hub = Hub::start().unwrap();
    hub.add_publisher("l3af").unwrap();
    hub.add_registry("mirror").unwrap();
    let again = hub.administer(&["publisher", "add", "l3af"]).unwrap();
    assert!(!again.ok && again.stderr.contains("there is a publisher `l3af` already"), "{}", again.stderr);
    let wrong = hub.administer(&["publisher", "add", "Not/So"]).unwrap();
    assert!(!wrong.ok && wrong.stderr.contains("`Not/So` is no name"), "{}", wrong.stderr);
}
