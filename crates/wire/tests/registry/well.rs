// SPDX-License-Identifier: Apache-2.0
//! A registry with the referrers API: what was pushed comes back, and statements are listed by the API alone.

use std::sync::Arc;

use package::{Digest, INDEX_MEDIA_TYPE, MANIFEST_MEDIA_TYPE, Referrer, ReferrerKind};
use serde_json::json;
use wire::{Layout, Tag};

use crate::memory::{Heap, Memory, entry, list, package};
use crate::server::{Answer, Server};
use crate::{client, statements, wait};

/// A statement, as far as registries are concerned.
fn said(envelope: &[u8]) -> Referrer {
    Referrer { kind: ReferrerKind::Statement, bytes: envelope.to_vec() }
}

#[test]
fn what_was_pushed_is_pulled_with_its_statements() {
    let memory = Memory::default();
    let server = Server::start(move |request| memory.answer(request));
    let reference = server.reference("a:1.0.0");
    let (repository, tag): (_, &Tag) = (&reference.repository, reference.tag.as_ref().unwrap());
    let (heap, descriptor) = package();
    let registry = client();
    wait(registry.push(repository, tag, &descriptor.digest, &heap)).unwrap();
    for envelope in [b"one", b"two", b"one"] {
        wait(registry.push_referrer(repository, &descriptor, &said(envelope))).unwrap();
    }
    assert_eq!(wait(registry.resolve(&reference)).unwrap(), descriptor.digest);
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::begin(folder.path());
    let pulled = wait(registry.pull(repository, &descriptor.digest, &layout)).unwrap();
    assert_eq!(pulled, descriptor);
    let root = Referrer { kind: ReferrerKind::Root, bytes: b"root".to_vec() };
    wait(registry.push_referrer(repository, &descriptor, &root)).unwrap();
    let referrers = |kinds| {
        let found = registry.referrers(repository, &descriptor.digest, kinds, &layout);
        let mut found = wait(found).unwrap();
        found.sort();
        found
    };
    assert_eq!(referrers(&[ReferrerKind::Statement]), [said(b"one"), said(b"two")]);
    assert_eq!(referrers(&ReferrerKind::ALL), [said(b"one"), said(b"two"), root]);
    // The registry lists them itself, so no list was written under a tag.
    let lists = server.asked().iter().filter(|asked| asked.contains("/sha256-")).count();
    assert_eq!(lists, 0);
    // What is there is asked for no more.
    let before = server.asked().len();
    wait(registry.pull(repository, &descriptor.digest, &layout)).unwrap();
    assert_eq!(server.asked().len(), before);
    referrers(&ReferrerKind::ALL);
    assert_eq!(server.asked().len(), before + 1, "only the list is asked for again");
}

#[test]
fn a_package_that_is_there_is_not_uploaded_again() {
    let memory = Memory::default();
    let server = Server::start(move |request| memory.answer(request));
    let reference = server.reference("a:1.0.0");
    let (heap, descriptor) = package();
    let uploads = || server.asked().iter().filter(|asked| asked.starts_with("POST")).count();
    let push = || {
        let tag = reference.tag.as_ref().unwrap();
        let client = client();
        wait(client.push(&reference.repository, tag, &descriptor.digest, &heap)).unwrap();
        assert_eq!((client.progress().done_bytes(), client.progress().expected_bytes()), (893, 893));
    };
    push();
    assert_eq!(uploads(), 2);
    push();
    assert_eq!(uploads(), 2);
}

/// A heap with a statement about a package, and its entry in a list.
fn statement(envelope: &[u8]) -> (Heap, serde_json::Value) {
    let (_, descriptor) = package();
    let mut heap = Heap::default();
    let statement = said(envelope).manifest(&descriptor);
    let size = statement.blobs.last().unwrap().bytes.len();
    for blob in statement.blobs {
        heap.put(blob.bytes);
    }
    (heap, entry(&statement.descriptor.digest, size))
}

#[test]
fn a_list_in_pages_is_read_to_its_end_and_no_further_than_the_registry() {
    let (one, first) = statement(b"one");
    let (two, second) = statement(b"two");
    let server = Server::start(move |request| {
        let found =
            |heap: &Heap| heap.0.get(&request.path.rsplit('/').next()?.parse::<Digest>().ok()?).cloned();
        if !request.path.contains("/referrers/") {
            return Answer::ok(found(&one).or_else(|| found(&two)).unwrap());
        }
        let (page, next) = if request.path.contains("page=2") {
            (&second, "<http://elsewhere.example.org/>; rel=\"next\"")
        } else {
            (&first, "</v2/a/referrers/x?page=2>; rel=\"next\"")
        };
        Answer::Whole(200, vec![("Link", next.to_owned())], list(std::slice::from_ref(page)).into())
    });
    let found = statements(&server.reference("a").repository, &package().1.digest).unwrap();
    assert_eq!(found, [said(b"one"), said(b"two")]);
}

#[test]
fn without_the_api_a_list_under_a_tag_keeps_what_others_put_there() {
    let (_, descriptor) = package();
    let foreign = json!({
        "mediaType": MANIFEST_MEDIA_TYPE, "digest": Digest::of(b"sbom"), "size": 4,
        "artifactType": "application/spdx+json", "data": "c2JvbQ==",
    });
    let held = Arc::new(std::sync::Mutex::new(list(std::slice::from_ref(&foreign))));
    let kept = Arc::clone(&held);
    let server = Server::start(move |request| {
        match (request.method.as_str(), request.path.contains("/manifests/sha256-")) {
            ("GET", true) => Answer::ok(kept.lock().unwrap().clone()),
            ("PUT", true) => {
                assert_eq!(request.headers["content-type"], INDEX_MEDIA_TYPE);
                *kept.lock().unwrap() = String::from_utf8(request.body.clone()).unwrap();
                Answer::status(201)
            }
            ("PUT", false) => Answer::status(201),
            _ => Answer::status(200),
        }
    });
    let repository = server.reference("a").repository;
    for _ in 0..2 {
        wait(client().push_referrer(&repository, &descriptor, &said(b"one"))).unwrap();
    }
    let written: serde_json::Value = serde_json::from_str(&held.lock().unwrap()).unwrap();
    let manifests = written["manifests"].as_array().unwrap();
    assert_eq!((manifests.len(), &manifests[0]), (2, &foreign));
}
