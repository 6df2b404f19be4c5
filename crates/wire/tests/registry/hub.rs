// SPDX-License-Identifier: Apache-2.0
//! Hubs that are asked for what others pass on.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;
use wire::hub::{HubClient, HubError};
use wire::{Credentials, Patience};

use crate::server::{Answer, Server};
use crate::{client, wait};

fn hub(server: &Server) -> HubClient {
    let patience = Patience {
        attempts: 3,
        pause: Duration::from_mins(1),
        longest_pause: Duration::from_millis(20),
        ..Patience::default()
    };
    let host = server.reference("a").repository.host().to_owned();
    HubClient::new(&host, Credentials::default()).unwrap().patient(patience)
}

fn ask<T>(work: impl Future<Output = Result<T, HubError>>) -> Result<T, HubError> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

#[test]
fn a_hub_that_is_too_busy_is_asked_again_and_is_not_taken_for_another_registry() {
    let asked = AtomicUsize::new(0);
    let server = Server::start(move |_| match asked.fetch_add(1, Ordering::Relaxed) {
        0 => Answer::Whole(429, vec![("Retry-After", "0".to_owned())], Vec::new()),
        1 => Answer::status(503),
        _ => Answer::ok(json!({ "name": "ours" }).to_string()),
    });
    assert_eq!(ask(hub(&server).instance()).unwrap().unwrap().name, "ours");
    let busy = Server::start(|_| Answer::status(503));
    assert!(ask(hub(&busy).instance()).is_err());
    assert_eq!(busy.asked().len(), 3);
    let other = Server::start(|_| Answer::status(404));
    assert!(ask(hub(&other).instance()).unwrap().is_none());
}

#[test]
fn what_changes_something_is_sent_once() {
    let server = Server::start(|_| Answer::status(503));
    assert!(ask(hub(&server).accept()).is_err());
    assert_eq!(server.asked().len(), 1);
}

#[test]
fn an_answer_without_end_is_given_up() {
    let server = Server::start(|_| Answer::Flood);
    let repository = server.reference("a/b").repository;
    let refused = ask(hub(&server).versions(&repository)).unwrap_err();
    assert!(matches!(refused, HubError::TooLarge { .. }), "{refused}");
}

#[test]
fn tags_are_listed_to_the_end_and_a_list_that_repeats_itself_has_one() {
    let server = Server::start(|request| {
        let tags = match request.path.split_once("last=") {
            None => json!(["0.1.0", "0.2.0"]),
            Some((_, "0.2.0")) => json!(["0.3.0", "not a tag!"]),
            Some(_) => json!(["0.3.0"]),
        };
        Answer::ok(json!({ "name": "a", "tags": tags }).to_string())
    });
    let tags = wait(client().tags(&server.reference("a").repository)).unwrap();
    assert_eq!(tags.iter().map(ToString::to_string).collect::<Vec<_>>(), ["0.1.0", "0.2.0", "0.3.0"]);
    let none = Server::start(|_| Answer::status(404));
    assert!(wait(client().tags(&none.reference("a").repository)).unwrap().is_empty());
}
