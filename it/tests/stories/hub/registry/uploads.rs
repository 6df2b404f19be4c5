// SPDX-License-Identifier: Apache-2.0
//! Uploads, in all ways that the specification knows.

use std::io::Write as _;

use it::Hub;

use super::{ALGORITHMS, Repository, digest, registry, some_bytes};

#[test]
fn a_blob_comes_in_one_request_or_two_or_many() {
    let hub = registry();
    let here = Repository { hub: &hub, name: "free/ways" };
    for algorithm in ALGORITHMS {
        for length in [10, 600_000] {
            let of = |seed| {
                let bytes = some_bytes(seed, length);
                (digest(algorithm, &bytes), bytes)
            };
            let is_there = |digest: &str, bytes: &[u8]| {
                assert_eq!(here.get(&format!("blobs/{digest}")).body, bytes, "{algorithm} {length}");
            };
            let (one, bytes) = of(1);
            assert_eq!(here.push_blob(algorithm, &bytes), one);
            is_there(&one, &bytes);
            let (two, bytes) = of(2);
            let ended = here.begin().end(&two).body(bytes.clone()).send().unwrap();
            assert_eq!((ended.status, ended.header("docker-content-digest")), (201, Some(two.as_str())));
            assert_eq!(ended.header("location"), Some(format!("/v2/free/ways/blobs/{two}").as_str()));
            is_there(&two, &bytes);
            // A stream: one piece that does not say its range nor its length.
            let (stream, bytes) = of(3);
            let upload = here.begin();
            let (first, second) = bytes.split_at(4);
            assert_eq!(upload.ask("PATCH").chunked(&[first, second]).send().unwrap().status, 202);
            assert_eq!(upload.range(), format!("0-{}", length - 1));
            assert_eq!(upload.end(&stream).body("").send().unwrap().status, 201);
            is_there(&stream, &bytes);
            assert_eq!(upload.ask("GET").send().unwrap().code(), "BLOB_UPLOAD_UNKNOWN", "it is over");
            // Pieces, the last one with the end.
            let (pieces, bytes) = of(4);
            let upload = here.begin();
            let sent = upload.piece("0-3", &bytes[..4]);
            assert_eq!((sent.status, sent.header("range")), (202, Some("0-3")), "{}", sent.text());
            assert_eq!(upload.piece("4-5", &bytes[4..6]).header("range"), Some("0-5"));
            let rest = format!("6-{}", length - 1);
            let ended = upload.end(&pieces).header("Content-Range", &rest).body(&bytes[6..]).send().unwrap();
            assert_eq!(ended.status, 201, "{}", ended.text());
            is_there(&pieces, &bytes);
        }
    }
}

#[test]
fn pieces_come_in_their_order_and_as_long_as_they_say() {
    let hub = registry();
    let here = Repository { hub: &hub, name: "free/order" };
    let bytes = some_bytes(5, 30);
    let upload = here.begin();
    assert_eq!(upload.piece("0-9", &bytes[..10]).status, 202);
    for (range, piece) in
        [("20-29", &bytes[20..]), ("0-9", &bytes[..10]), ("9-19", &bytes[9..20]), ("x", &bytes[10..])]
    {
        let refused = upload.piece(range, piece);
        assert_eq!((refused.status, refused.header("range")), (416, Some("0-9")), "{range}");
        assert_eq!(refused.header("location"), Some(upload.location.as_str()));
        let digest = digest("sha256", &bytes);
        assert_eq!(
            upload.end(&digest).header("Content-Range", range).body(piece).send().unwrap().status,
            416
        );
    }
    let short = upload.piece("10-29", &bytes[10..20]);
    assert_eq!((short.status, short.code().as_str()), (400, "SIZE_INVALID"));
    assert_eq!(upload.range(), "0-9", "none of these counts");
    assert_eq!(upload.piece("10-29", &bytes[10..]).status, 202);
    assert_eq!(upload.end(&digest("sha512", &bytes)).body("").send().unwrap().status, 201);
}

#[test]
fn bytes_with_another_digest_are_no_blob_and_the_upload_goes_on() {
    let hub = registry();
    let here = Repository { hub: &hub, name: "free/confused" };
    for (algorithm, length) in [("sha256", 50), ("sha512", 50), ("sha256", 500_000)] {
        let bytes = some_bytes(6, length);
        let (right, wrong) = (digest(algorithm, &bytes), digest(algorithm, b"other"));
        for digest in [wrong.as_str(), "sha256:0", "", "md5:d41d8cd98f00b204e9800998ecf8427e"] {
            let pushed = here
                .ask("POST", &format!("blobs/uploads/?digest={digest}"))
                .body(bytes.clone())
                .send()
                .unwrap();
            assert_eq!((pushed.status, pushed.code().as_str()), (400, "DIGEST_INVALID"), "{digest}");
        }
        let upload = here.begin();
        assert_eq!(upload.piece("0-9", &bytes[..10]).status, 202);
        let ended = upload.end(&wrong).body(&bytes[10..]).send().unwrap();
        assert_eq!((ended.status, ended.code().as_str()), (400, "DIGEST_INVALID"));
        assert_eq!(here.get(&format!("blobs/{wrong}")).status, 404);
        assert_eq!(here.get(&format!("blobs/{right}")).status, 404);
        assert_eq!(upload.end(&right).body(&bytes[10..]).send().unwrap().status, 201);
    }
    assert_eq!(here.ask("POST", "blobs/uploads/?digest-algorithm=md5").body("").send().unwrap().status, 400);
    assert_eq!(
        here.ask("POST", "blobs/uploads/?digest-algorithm=sha512").body("").send().unwrap().status,
        202
    );
}

#[test]
fn an_upload_is_given_up_and_nothing_of_it_stays() {
    let hub = registry();
    let here = Repository { hub: &hub, name: "free/given-up" };
    let upload = here.begin();
    assert_eq!(upload.range(), "0-0");
    assert_eq!(upload.piece("0-9", &some_bytes(1, 10)).status, 202);
    assert_eq!(files_of_uploads(&hub), 1);
    assert_eq!(upload.ask("DELETE").send().unwrap().status, 204);
    assert_eq!(files_of_uploads(&hub), 0);
    for method in ["GET", "PATCH", "DELETE"] {
        let gone = upload.ask(method).body("").send().unwrap();
        assert_eq!((gone.status, gone.code().as_str()), (404, "BLOB_UPLOAD_UNKNOWN"), "{method}");
    }
    assert_eq!(here.get("blobs/uploads/01234567-89ab-7def-8123-456789abcdef").status, 404);
    let elsewhere = Repository { hub: &hub, name: "free/elsewhere" };
    let id = here.begin().location.rsplit('/').next().unwrap().to_owned();
    assert_eq!(elsewhere.get(&format!("blobs/uploads/{id}")).status, 404, "it is of another repository");
}

/// How many files wait to become blobs.
fn files_of_uploads(hub: &Hub) -> usize {
    std::fs::read_dir(hub.folder().join("uploads")).unwrap().count()
}

#[test]
fn what_came_of_a_piece_that_broke_off_stays_and_the_upload_goes_on_after_it_also_on_a_hub_that_was_killed() {
    let mut hub = registry();
    let bytes = some_bytes(8, 900_000);
    let location = {
        let here = Repository { hub: &hub, name: "free/broken" };
        let upload = here.begin();
        upload.ask("PATCH").broken_off(bytes.len(), &bytes[..400_000]).hang_up().unwrap();
        hub.wait("what came is kept", || upload.range() != "0-0");
        upload.location
    };
    hub.kill().unwrap();
    hub.restart().unwrap();
    let upload = super::Upload { hub: &hub, location };
    let have: usize = upload.range().strip_prefix("0-").unwrap().parse::<usize>().unwrap() + 1;
    assert!(have <= 400_000, "{have}");
    // The end breaks off too.
    let digest = digest("sha256", &bytes);
    upload.end(&digest).broken_off(bytes.len() - have, &bytes[have..800_000]).hang_up().unwrap();
    hub.wait("what came is kept", || upload.range() != format!("0-{}", have - 1));
    let have: usize = upload.range().strip_prefix("0-").unwrap().parse::<usize>().unwrap() + 1;
    assert_eq!(upload.end(&digest).body(&bytes[have..]).send().unwrap().status, 201);
    let here = Repository { hub: &hub, name: "free/broken" };
    assert_eq!(here.get(&format!("blobs/{digest}")).body, bytes);
}

#[test]
fn of_two_pieces_at_the_same_place_one_counts() {
    let hub = registry();
    let here = Repository { hub: &hub, name: "free/both" };
    let upload = here.begin();
    let (one, other) = (vec![1; 300_000], vec![2; 300_000]);
    // The first is on its way when the second comes and is whole.
    let mut slow = upload.ask("PATCH").broken_off(one.len(), &one[..100_000]).hold().unwrap();
    assert_eq!(upload.piece("0-299999", &other).status, 202);
    slow.write_all(&one[100_000..]).unwrap();
    let mut answer = String::new();
    std::io::Read::read_to_string(&mut slow, &mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 416 "), "{answer}");
    let digest = digest("sha256", &other);
    assert_eq!(upload.end(&digest).body("").send().unwrap().status, 201);
    assert_eq!(here.get(&format!("blobs/{digest}")).body, other);
}

#[test]
fn a_client_that_says_nothing_more_holds_nobody_up() {
    let hub = registry();
    let here = Repository { hub: &hub, name: "free/slow" };
    let held: Vec<_> = (0..200)
        .map(|number| {
            let bytes = some_bytes(number, 50_000);
            let ask = match number % 4 {
                0 => here.ask("POST", &format!("blobs/uploads/?digest={}", digest("sha256", &bytes))),
                1 => here.begin().ask("PATCH"),
                2 => here.begin().end(&digest("sha256", &bytes)),
                _ => here.ask("PUT", "manifests/tag"),
            };
            ask.broken_off(bytes.len(), &bytes[..1000]).hold().unwrap()
        })
        .collect();
    let bytes = some_bytes(1, 1000);
    let digest = here.push_blob("sha256", &bytes);
    assert_eq!(here.get(&format!("blobs/{digest}")).body, bytes);
    drop(held);
}

#[test]
fn a_blob_of_a_thousand_pieces_is_whole() {
    let hub = registry();
    let here = Repository { hub: &hub, name: "free/pieces" };
    let upload = here.begin();
    let bytes = some_bytes(2, 2000);
    for (number, piece) in bytes.chunks(10).enumerate() {
        let range = format!("{}-{}", number * 10, number * 10 + 9);
        assert_eq!(upload.piece(&range, piece).status, 202);
    }
    assert!(files_of_uploads(&hub) < 1000, "few files make a blob");
    assert_eq!(upload.end(&digest("sha512", &bytes)).body("").send().unwrap().status, 201);
    assert_eq!(here.get(&format!("blobs/{}", digest("sha512", &bytes))).body, bytes);
}
