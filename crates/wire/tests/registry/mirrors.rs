// SPDX-License-Identifier: Apache-2.0
//! Mirrors: they help where a repository is gone, and can lie about nothing that has a digest.

use package::{Descriptor, Digest, ReferrerKind};
use wire::{Layout, Places, RegistryError, Repository};

use crate::memory::{Heap, entry, list, package};
use crate::server::{Answer, Request, Server};
use crate::{client, told, wait};

/// Nobody answers there.
fn gone() -> Repository {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    format!("{}/a", listener.local_addr().unwrap()).parse::<wire::Reference>().unwrap().repository
}

/// A server that has the package but for what the test takes out of it, and knows it as tag `1`.
fn with(holds: impl Fn(&[u8]) -> bool + Send + Sync + 'static) -> Server {
    let (heap, index) = package();
    Server::start(move |request| answer(&heap, &index, request, &holds))
}

fn answer(heap: &Heap, index: &Descriptor, request: &Request, holds: &dyn Fn(&[u8]) -> bool) -> Answer {
    if request.path.contains("/referrers/") {
        return Answer::ok(list(&[]));
    }
    let name = request.path.rsplit('/').next().unwrap();
    let digest = if name == "1" { index.digest } else { name.parse().unwrap() };
    heap.0
        .get(&digest)
        .filter(|bytes| holds(bytes))
        .map_or(Answer::status(404), |bytes| Answer::ok(bytes.clone()))
}

fn repository(server: &Server) -> Repository {
    server.reference("a").repository
}

/// Pulls the package from the first of these, or else from the others; says from where the last of it came.
fn pulled(places: &[Repository]) -> Result<Repository, RegistryError> {
    let (_, index) = package();
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::begin(folder.path());
    let mut places = Places::new(places[0].clone(), places[1..].iter().cloned());
    let (descriptor, from) = wait(client().pull_from(&mut places, &index.digest, &layout))?;
    layout.complete(descriptor).unwrap();
    assert_eq!(layout.index().unwrap(), index.digest);
    Ok(from)
}

#[test]
fn a_mirror_is_asked_where_the_original_is_gone_and_only_there() {
    let (original, mirror) = (with(|_| true), with(|_| true));
    let both = [repository(&original), repository(&mirror)];
    assert_eq!(pulled(&both).unwrap(), both[0]);
    assert_eq!(mirror.asked().len(), 0);
    assert_eq!(pulled(&[gone(), repository(&mirror)]).unwrap(), both[1]);
}

#[test]
fn what_one_place_lacks_comes_from_the_next_and_nothing_comes_twice() {
    let lacks_layer = with(|bytes| !bytes.starts_with(b"the layer"));
    let has_only_layer = with(|bytes| bytes.starts_with(b"the layer"));
    let places = [repository(&lacks_layer), repository(&has_only_layer)];
    assert_eq!(pulled(&places).unwrap(), places[1]);
    assert_eq!(has_only_layer.asked().len(), 1);
}

#[test]
fn a_mirror_that_lies_is_passed_over() {
    let liar = Server::start(|_| Answer::ok("something else"));
    let mirror = with(|_| true);
    let places = [gone(), repository(&liar), repository(&mirror)];
    assert_eq!(pulled(&places).unwrap(), places[2]);
    let error = pulled(&places[..2]).unwrap_err();
    let hint = error.hint().unwrap();
    let text = error.to_string().replace(places[0].host(), "GONE").replace(places[1].host(), "LIAR");
    let (gone, liar) = text.split_once("; ").unwrap();
    let begin = "none of the 2 places that were asked gives it: the registry of `GONE/a` does not answer as it should: ";
    assert!(gone.starts_with(begin) && gone.contains("Connection refused"), "{gone}");
    assert!(liar.starts_with("`LIAR/a` sends other bytes for sha256:"), "{liar}");
    assert_eq!(hint, "try again when it is well");
}

#[test]
fn a_tag_is_asked_of_a_mirror_only_where_the_original_cannot_be_reached() {
    let (_, index) = package();
    let mirror = with(|_| true);
    let resolved = |original: Repository| {
        let reference = format!("{original}:1").parse().unwrap();
        let mut places = Places::new(original, [repository(&mirror)]);
        wait(client().resolve_from(&reference, &mut places))
    };
    for (status, is_silence) in [(404, false), (403, false), (400, false), (503, true), (429, true)] {
        let before = mirror.asked().len();
        let original = Server::start(move |_| Answer::status(status));
        let outcome = resolved(repository(&original));
        assert_eq!(mirror.asked().len() - before, usize::from(is_silence), "{status}");
        assert_eq!(outcome.is_ok(), is_silence, "{status}");
    }
    assert_eq!(resolved(gone()).unwrap(), (index.digest, repository(&mirror)));
}

#[test]
fn who_does_not_answer_is_asked_last_from_then_on() {
    let (_, index) = package();
    let (original, mirror) = (Server::start(|_| Answer::status(503)), with(|_| true));
    let reference = format!("{}:1", repository(&original)).parse().unwrap();
    let mut places = Places::new(repository(&original), [repository(&mirror)]);
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::begin(folder.path());
    wait(async {
        client().resolve_from(&reference, &mut places).await?;
        client().pull_from(&mut places, &index.digest, &layout).await
    })
    .unwrap();
    assert_eq!(original.asked().len(), 3, "all attempts at the tag, and no others");
}

/// What is known about the package at the first of these, or else at the others.
fn statements(places: &[Repository]) -> Result<usize, RegistryError> {
    let (_, index) = package();
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::begin(folder.path());
    let mut places = Places::new(places[0].clone(), places[1..].iter().cloned());
    let kinds = [ReferrerKind::Statement];
    wait(client().referrers_from(&mut places, &index.digest, &kinds, &layout)).map(|found| found.len())
}

#[test]
fn a_mirror_that_knows_no_statement_does_not_make_a_package_unsigned() {
    let ignorant = with(|_| true);
    assert_eq!(statements(&[repository(&ignorant)]).unwrap(), 0);
    let error = statements(&[gone(), repository(&ignorant)]).unwrap_err();
    insta::assert_snapshot!(told(&ignorant, &error), @"
    `HOST/a` knows of no statement about it, and may not know all
    hint: copy the package to `HOST` with its statements, by `l3af pull` and `l3af push`, or wait for the original
    ");
    // Where the original says so it is so, and a mirror that is gone changes nothing.
    assert_eq!(statements(&[repository(&ignorant), gone()]).unwrap(), 0);
}

#[test]
fn statements_come_from_a_mirror_where_the_original_knows_none() {
    let (_, descriptor) = package();
    let referrer = package::Referrer { kind: ReferrerKind::Statement, bytes: b"one".to_vec() };
    let manifest = referrer.manifest(&descriptor);
    let mut heap = Heap::default();
    let size = manifest.blobs.last().unwrap().bytes.len();
    for blob in manifest.blobs {
        heap.put(blob.bytes);
    }
    let listed = list(&[entry(&manifest.descriptor.digest, size)]);
    let knowing = Server::start(move |request| {
        if request.path.contains("/referrers/") {
            return Answer::ok(listed.clone());
        }
        let digest: Digest = request.path.rsplit('/').next().unwrap().parse().unwrap();
        Answer::ok(heap.0[&digest].clone())
    });
    let ignorant = with(|_| true);
    assert_eq!(statements(&[repository(&ignorant), repository(&knowing)]).unwrap(), 1);
    assert_eq!(statements(&[gone(), repository(&ignorant), repository(&knowing)]).unwrap(), 1);
}
