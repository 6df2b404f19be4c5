// SPDX-License-Identifier: Apache-2.0
//! Layers that break in the middle: what came is not asked for again, and what is kept is the whole and nothing else.

use std::sync::{Arc, Mutex};

use package::{Blobs, Digest};
use wire::{Layout, RegistryError};

use crate::memory::package;
use crate::server::{Answer, Server};
use crate::{client, wait};

/// Pulls a package whose layer is answered so, for the whole of it and the byte that is asked for; says how that ended, and
/// where each request began.
fn pulled(
    answer: impl Fn(Vec<u8>, usize) -> Answer + Send + Sync + 'static,
) -> (Result<(), RegistryError>, Vec<usize>) {
    let (heap, index) = package();
    let layer = Digest::of("the layer".repeat(99).as_bytes());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let asks = Arc::clone(&asked);
    let server = Server::start(move |request| {
        let digest: Digest = request.path.rsplit('/').next().unwrap().parse().unwrap();
        let bytes = heap.0[&digest].clone();
        if digest != layer {
            return Answer::ok(bytes);
        }
        let range = request.headers.get("range").map(|range| range.strip_prefix("bytes=").unwrap());
        let begin = range.map_or(0, |range| range.strip_suffix('-').unwrap().parse().unwrap());
        asks.lock().unwrap().push(begin);
        answer(bytes, begin)
    });
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::begin(folder.path());
    let client = client();
    let outcome = wait(client.pull(&server.reference("a").repository, &index.digest, &layout));
    let (done, expected) = (client.progress().done_bytes(), client.progress().expected_bytes());
    assert!(outcome.is_err() || done == expected, "{done} of {expected}");
    assert_eq!(expected, 893, "the layer and the configuration");
    assert_eq!(outcome.is_ok(), layout.blob(&layer, 1000).is_ok());
    let asked = asked.lock().unwrap().clone();
    (outcome.map(drop), asked)
}

/// An answer of one part, whatever was asked for.
fn part(range: &str, body: impl Into<Vec<u8>>) -> Answer {
    Answer::Whole(206, vec![("Content-Range", format!("bytes {range}/891"))], body.into())
}

#[test]
fn a_layer_that_breaks_goes_on_where_it_was() {
    let (outcome, asked) = pulled(|bytes, begin| Answer::Broken(bytes, begin..begin + 300));
    outcome.unwrap();
    assert_eq!(asked, [0, 300, 600]);
}

#[test]
fn a_layer_that_breaks_too_often_is_given_up_as_before() {
    let (outcome, asked) = pulled(|bytes, begin| Answer::Broken(bytes, begin..begin + 200));
    assert!(matches!(outcome, Err(RegistryError::Unreachable { .. })), "{outcome:?}");
    assert_eq!(asked, [0, 200, 400]);
}

#[test]
fn failures_in_between_lose_nothing_of_what_came() {
    let calls = Mutex::new(0);
    let (outcome, asked) = pulled(move |bytes, begin| {
        *calls.lock().unwrap() += 1;
        match *calls.lock().unwrap() {
            1 => Answer::Broken(bytes, 0..500),
            2 => Answer::status(503),
            _ => Answer::Broken(bytes, begin..891),
        }
    });
    outcome.unwrap();
    assert_eq!(asked, [0, 500, 500]);
}

#[test]
fn a_registry_without_ranges_sends_the_whole_again() {
    let ignores = |bytes: Vec<u8>, begin| match begin {
        0 => Answer::Broken(bytes, 0..500),
        _ => Answer::ok(bytes),
    };
    let (outcome, asked) = pulled(ignores);
    outcome.unwrap();
    assert_eq!(asked, [0, 500]);
}

#[test]
fn a_range_that_is_refused_or_another_one_begins_anew_at_once() {
    let refused: fn() -> Answer = || Answer::status(416);
    let another: fn() -> Answer = || part("499-890", "the layer");
    let unnamed: fn() -> Answer = || Answer::Whole(206, Vec::new(), "the layer".into());
    for instead in [refused, another, unnamed] {
        let calls = Mutex::new(0);
        let (outcome, asked) = pulled(move |bytes, begin| {
            *calls.lock().unwrap() += 1;
            match (begin, *calls.lock().unwrap()) {
                (0, 1) => Answer::Broken(bytes, 0..500),
                (0, _) => Answer::ok(bytes),
                _ => instead(),
            }
        });
        outcome.unwrap();
        assert_eq!(asked, [0, 500, 0]);
    }
}

#[test]
fn parts_that_do_not_belong_to_each_other_are_not_used() {
    let calls = Mutex::new(0);
    let (outcome, asked) = pulled(move |bytes, begin| {
        *calls.lock().unwrap() += 1;
        match (begin, *calls.lock().unwrap()) {
            (0, 1) => Answer::Broken(bytes, 0..500),
            (0, _) => Answer::ok(bytes),
            _ => part("500-890", vec![b'x'; 391]),
        }
    });
    outcome.unwrap();
    assert_eq!(asked, [0, 500, 0]);
    // A registry that goes on like that is given up after all attempts.
    let (outcome, asked) = pulled(|bytes, begin| match begin {
        0 => Answer::Broken([b"y".as_slice(), &bytes[1..]].concat(), 0..500),
        _ => Answer::Broken(bytes, begin..891),
    });
    assert!(matches!(outcome, Err(RegistryError::Unreachable { .. })), "{outcome:?}");
    assert_eq!(asked, [0, 500, 0]);
}

#[test]
fn parts_together_are_no_larger_than_the_whole_may_be() {
    let (outcome, asked) = pulled(|bytes, begin| match begin {
        0 => Answer::Broken(bytes, 0..500),
        _ => part("500-890", vec![b'x'; 500]),
    });
    assert!(matches!(outcome, Err(RegistryError::TooLarge { max_bytes: 891, .. })), "{outcome:?}");
    assert_eq!(asked, [0, 500]);
}
