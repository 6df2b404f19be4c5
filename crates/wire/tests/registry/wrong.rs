// SPDX-License-Identifier: Apache-2.0
//! Registries that lie, break off, say nothing or too much: nothing of it is used, and every wait ends.

use std::time::{Duration, Instant};

use package::Digest;
use serde_json::json;
use wire::{Layout, RegistryError};

use crate::memory::{entry, list, package};
use crate::server::{Answer, Request, Server};
use crate::{client, told, wait};

/// A server with a package whose layer is answered by something else.
fn with_layer(layer: impl Fn() -> Answer + Send + Sync + 'static) -> (Server, Digest) {
    let (heap, index) = package();
    let server = Server::start(move |request| {
        let digest: Digest = request.path.rsplit('/').next().unwrap().parse().unwrap();
        let bytes = &heap.0[&digest];
        if bytes.starts_with(b"the layer") { layer() } else { Answer::ok(bytes.clone()) }
    });
    (server, index.digest)
}

/// How pulling ends, and how often the layer was asked for. What was kept is checked.
fn pulled((server, index): (Server, Digest)) -> (String, usize) {
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::begin(folder.path());
    let begin = Instant::now();
    let error = wait(client().pull(&server.reference("a").repository, &index, &layout)).unwrap_err();
    assert!(begin.elapsed() < Duration::from_secs(8), "it took {:?}", begin.elapsed());
    for blob in std::fs::read_dir(folder.path().join("blobs/sha256")).unwrap().map(Result::unwrap) {
        let digest = Digest::of(&std::fs::read(blob.path()).unwrap()).hex();
        assert_eq!(blob.file_name().to_str().unwrap(), digest);
    }
    (told(&server, &error), server.asked().iter().filter(|asked| asked.contains("/blobs/")).count() - 1)
}

#[test]
fn other_bytes_than_those_of_the_digest_are_refused() {
    let (error, attempts) = pulled(with_layer(|| Answer::ok("another layer")));
    insta::assert_snapshot!(error, @"
    `HOST/a` sends other bytes for sha256:0dc23635393fae2ac30c7c5a301f34c85e653d6e7ed5fdda2990cf1272fbf10d: their digest is sha256:0414c189c82553ffdb5f8afeefeae2139f68d12d167763d16506b198974f0906
    hint: nothing of it was used; tell whoever runs the registry
    ");
    assert_eq!(attempts, 1);
}

#[test]
fn half_of_a_layer_is_refused_after_all_attempts() {
    let (error, attempts) = pulled(with_layer(|| Answer::Half(b"the layer".to_vec())));
    insta::assert_snapshot!(error, @"
    the registry of `HOST/a` does not answer as it should
    hint: try again when it is well
    ");
    assert_eq!(attempts, 3);
}

#[test]
fn a_registry_that_says_nothing_is_given_up() {
    let (error, attempts) = pulled(with_layer(|| Answer::Silence));
    insta::assert_snapshot!(error, @"
    the registry of `HOST/a` does not answer as it should
    hint: try again when it is well
    ");
    assert_eq!(attempts, 3);
}

#[test]
fn a_registry_that_never_ends_has_a_limit_of_time() {
    let server = Server::start(|_| Answer::Drip);
    let error = wait(client().resolve(&server.reference("a:1"))).unwrap_err();
    insta::assert_snapshot!(told(&server, &error), @"
    the registry of `HOST/a` took longer than 8 s
    hint: try again when it is well
    ");
}

#[test]
fn a_registry_that_never_ends_has_a_limit_of_bytes() {
    let (error, attempts) = pulled(with_layer(|| Answer::Flood));
    insta::assert_snapshot!(error, @"
    `HOST/a` sends more than 891 bytes for sha256:0dc23635393fae2ac30c7c5a301f34c85e653d6e7ed5fdda2990cf1272fbf10d
    hint: nothing of it was used; tell whoever runs the registry
    ");
    assert_eq!(attempts, 1);
}

#[test]
fn failures_that_pass_are_waited_out_and_others_are_not() {
    let (heap, index) = package();
    let bytes = heap.0[&index.digest].clone();
    let answers = std::sync::Mutex::new(vec![
        Answer::ok(bytes),
        Answer::Whole(429, vec![("Retry-After", "0".to_owned())], Vec::new()),
        Answer::status(503),
    ]);
    let server = Server::start(move |_| answers.lock().unwrap().pop().unwrap());
    assert_eq!(wait(client().resolve(&server.reference("a:1"))).unwrap(), index.digest);
    let says = r#"{"errors":[{"code":"NAME_INVALID","message":"no\u001b[31m"}]}"#;
    let server = Server::start(move |_| Answer::Whole(400, Vec::new(), says.into()));
    let error = wait(client().resolve(&server.reference("a:1"))).unwrap_err();
    insta::assert_snapshot!(told(&server, &error), @"the registry of `HOST/a` answers 400: NAME_INVALID no[31m");
    assert_eq!(server.asked().len(), 1);
    let server = Server::start(|_| Answer::status(502));
    let error = wait(client().resolve(&server.reference("a:1"))).unwrap_err();
    insta::assert_snapshot!(told(&server, &error), @"the registry of `HOST/a` answers 502: it says no more");
    assert_eq!(server.asked().len(), 3);
}

#[test]
fn what_is_no_package_is_refused() {
    let refusal = |answer: fn() -> Answer| {
        let server = Server::start(move |_| answer());
        told(&server, &wait(client().resolve(&server.reference("a:1"))).unwrap_err())
    };
    insta::assert_snapshot!(refusal(|| Answer::status(404)), @"
    there is no tag `1` in `HOST/a`
    hint: `skopeo list-tags docker://HOST/a` lists what is there
    ");
    insta::assert_snapshot!(refusal(|| Answer::ok("<html>")), @"
    what `HOST/a` has there is no package: its manifest is neither an image index nor one of an image (expected value at line 1 column 1)
    hint: `l3af push` puts packages there
    ");
    insta::assert_snapshot!(refusal(|| Answer::ok(list(&[]))), @"
    what `HOST/a` has there is no package: it lists nothing for a system that packages know
    hint: `l3af push` puts packages there
    ");
    let server = Server::start(|_| Answer::status(500));
    let nothing = wait(client().resolve(&server.reference("a"))).unwrap_err();
    insta::assert_snapshot!(told(&server, &nothing), @"
    `HOST/a` names no release
    hint: name one by tag or digest, as in `HOST/a:1.0.0`
    ");
    assert_eq!(server.asked().len(), 0);
}

/// How asking for statements ends when the list is answered so.
fn statements(answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Result<usize, RegistryError> {
    let server = Server::start(answer);
    let found = crate::statements(&server.reference("a").repository, &Digest::of(b"package"));
    found.map(|envelopes| envelopes.len())
}

#[test]
fn a_list_of_statements_that_cannot_be_had_is_not_an_empty_one() {
    assert!(matches!(statements(|_| Answer::status(403)), Err(RegistryError::LoginNeeded { .. })));
    assert!(matches!(statements(|_| Answer::status(500)), Err(RegistryError::Status { .. })));
    assert!(matches!(statements(|_| Answer::ok("[]")), Err(RegistryError::NotAPackage { .. })));
    let only_the_tag_fails =
        |request: &Request| Answer::status(if request.path.contains("/referrers/") { 404 } else { 503 });
    assert!(matches!(statements(only_the_tag_fails), Err(RegistryError::Status { .. })));
    assert_eq!(statements(|_| Answer::status(404)).unwrap(), 0);
}

#[test]
fn what_is_listed_for_others_or_is_not_there_hides_nothing() {
    let missing = entry(&Digest::of(b"missing"), 7);
    let foreign = json!({"mediaType": "text/plain", "digest": "sha512:00", "size": "many"});
    let listed = list(&[missing, foreign]);
    let answer = move |request: &Request| {
        if request.path.contains("/referrers/") { Answer::ok(listed.clone()) } else { Answer::status(404) }
    };
    assert_eq!(statements(answer).unwrap(), 0);
}
