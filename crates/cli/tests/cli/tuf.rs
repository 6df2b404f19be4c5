// SPDX-License-Identifier: Apache-2.0
//! Roots beside python-tuf: it reads ours, we read its own, and what one of us refuses the other does not need.
//!
//! The peer is `peer.py`, run by `target/python`. Where that is missing these tests fail: `cargo xtask python` makes it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use trust::{Algorithm, Draft, PrivateKey, Role, Root, Sign, Signer};

use crate::place::{Ended, Place, ended};
use crate::publisher::{id, place};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Asks python-tuf.
fn peer(place: &Place, arguments: &[&str]) -> Ended {
    let python = repository().join("target/python/bin/python");
    assert!(python.exists(), "there is no `target/python`; `cargo xtask python` makes it");
    let mut peer = Command::new(python);
    peer.arg(repository().join("crates/cli/tests/cli/tuf/peer.py")).args(arguments);
    ended(peer.current_dir(place.folder.path()).stdin(Stdio::null()).output().unwrap())
}

/// What python-tuf makes of roots that follow each other: the newest, or why it is refused.
fn walked(place: &Place, files: &[&str]) -> Result<Value, String> {
    let ended = peer(place, &[&["verify"], files].concat());
    assert_eq!(ended.stderr, "", "it is neither accepted nor refused");
    if ended.success { Ok(serde_json::from_str(&ended.stdout).unwrap()) } else { Err(ended.stdout) }
}

fn run(place: &Place, line: &str) {
    let ended = place.l3af(line);
    assert!(ended.success, "{line}: {}", ended.stderr);
}

fn read(place: &Place, file: &str) -> Vec<u8> {
    fs::read(place.path(file)).unwrap()
}

fn first(place: &Place) -> Root {
    run(
        place,
        "publisher init example --root 1.pub --root 2.pub --root-threshold 2 --release 3.pub --key 1.key --key 2.key",
    );
    Root::pinned(&read(place, "publisher/1.root.json")).unwrap()
}

#[test]
fn signatures_are_over_the_same_bytes() {
    let hex = |bytes: Vec<u8>| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
    let values = peer(&Place::new(), &["canonical", "3000"]).stdout;
    let mut count = 0;
    for line in values.lines() {
        let (text, theirs) = line.split_once('\t').unwrap();
        assert_eq!(hex(trust::canonical_json(text.as_bytes()).unwrap()), theirs, "{text}");
        count += 1;
    }
    assert_eq!(count, 3000);
}

#[test]
fn python_tuf_walks_over_our_roots() {
    let place = place();
    first(&place);
    run(&place, &format!("publisher rotate --from {} --to 4.pub --key 1.key --key 2.key --key 4.key", id(2)));
    run(&place, "publisher rotate --threshold root=1 --key 1.key --key 4.key");
    let files = ["1", "2", "3"].map(version_file);
    let newest = walked(&place, &files.each_ref().map(String::as_str)).unwrap();
    let mut keys = [id(1), id(4)];
    keys.sort();
    assert_eq!((&newest["version"], &newest["roles"]["root"]), (&json!(3), &json!([1, keys])));
    for role in ["targets", "snapshot", "timestamp"] {
        assert_eq!(newest["roles"][role], json!([1, [id(3)]]), "{role}");
    }
}

fn version_file(version: &str) -> String {
    format!("publisher/{version}.root.json")
}

#[test]
fn both_refuse_roots_that_do_not_follow() {
    let place = place();
    let one = first(&place);
    let keys = [1, 2, 4, 5].map(|seed| PrivateKey::from_seed([seed; 32]));
    let [old, other_old, new, other_new] = keys.each_ref().map(|key| key as &dyn Sign);
    let mut draft = Draft::after(&one, one.expires());
    for (seed, key) in [(1, new), (2, other_new)] {
        draft.add(Role::Root, &Signer::single(key.public().clone())).unwrap();
        draft.remove(Role::Root, &id(seed)).unwrap();
    }
    for (signing, holds) in [
        (&[old, other_old, new, other_new][..], true),
        (&[new, other_new], false),
        (&[old, other_old], false),
        (&[old, new, other_new], false),
        (&[old, other_old, new], false),
    ] {
        let mut draft = draft.clone();
        draft.sign(Some(&one), signing).unwrap();
        fs::write(place.path("2.json"), draft.to_json()).unwrap();
        let theirs = walked(&place, &["publisher/1.root.json", "2.json"]);
        assert_eq!(theirs.is_ok(), holds, "{theirs:?}");
        assert_eq!(one.update(&read(&place, "2.json")).is_ok(), holds);
    }
    // Back to a version that was good once, and over one that is left out.
    run(&place, "publisher rotate --key 1.key --key 2.key");
    run(&place, "publisher rotate --key 1.key --key 2.key");
    for order in [["1", "2", "1"], ["1", "2", "2"], ["1", "3", "3"]] {
        let files = order.map(version_file);
        let theirs = walked(&place, &files.each_ref().map(String::as_str)).unwrap_err();
        assert!(theirs.starts_with("BadVersionNumberError: "), "{theirs}");
        let [_, two, three] = files.map(|file| read(&place, &file));
        assert!(one.update(&two).and_then(|root| root.update(&three)).is_err());
    }
    let expired = Draft::after(&one, "2020-01-01T00:00:00Z".parse().unwrap());
    let fields = serde_json::from_str::<Value>(&expired.to_json()).unwrap();
    assert_eq!(fields["signed"]["expires"], "2020-01-01T00:00:00Z", "both write times in one way");
}

#[test]
fn python_tuf_reads_keys_of_every_kind_and_hybrids_in_part() {
    let place = place();
    let mut names = Vec::new();
    for algorithm in Algorithm::ALL {
        let key = PrivateKey::generate(algorithm);
        let name = format!("{algorithm}").replace('/', "-");
        fs::write(place.path(&format!("{name}.key")), key.to_pem()).unwrap();
        fs::write(place.path(&format!("{name}.pub")), key.public().to_pem()).unwrap();
        names.push((name, key));
    }
    // Their names for keys are ours.
    let files: Vec<String> = names.iter().map(|(name, _)| format!("{name}.pub")).collect();
    let arguments: Vec<&str> = ["keys"].into_iter().chain(files.iter().map(String::as_str)).collect();
    let ids: Vec<String> = names.iter().map(|(_, key)| key.public().id().to_string()).collect();
    assert_eq!(peer(&place, &arguments).stdout.lines().collect::<Vec<_>>(), ids);
    // All four together, each of which must have signed.
    let option = |option: &str, kind: &str| {
        names.iter().map(|(name, _)| format!(" --{option} {name}.{kind}")).collect::<Vec<_>>().concat()
    };
    let every = format!("{} --root-threshold 4{}", option("root", "pub"), option("key", "key"));
    run(&place, &format!("publisher init example{every} --release 1.pub --folder every"));
    let schemes = walked(&place, &["every/1.root.json"]).unwrap()["schemes"].clone();
    assert_eq!(
        schemes,
        json!(["ecdsa-sha2-nistp256", "ed25519", "ed25519", "ml-dsa-65/1", "rsassa-pss-sha256"])
    );

    // A hybrid is two keys to python-tuf, which knows no pairs: one half meets its threshold of one, and not ours.
    let (classical, quantum) = (&names[0].1, &names[3].1);
    let pair = Signer::of(vec![classical.public().clone(), quantum.public().clone()]).unwrap();
    fs::write(place.path("hybrid.pub"), pair.to_pem()).unwrap();
    run(&place, "publisher init example --root hybrid.pub --release 1.pub --folder hybrid");
    let half =
        |place: &Place, name: &str| run(place, &format!("publisher sign --folder hybrid --key {name}.key"));
    half(&place, &names[0].0);
    assert!(walked(&place, &["hybrid/draft.root.json"]).is_ok());
    let refusal = Root::pinned(&read(&place, "hybrid/draft.root.json")).unwrap_err().to_string();
    insta::assert_snapshot!(refusal, @"0 of the signers that it names itself signed it, 1 must");
    half(&place, &names[3].0);
    assert_eq!(walked(&place, &["hybrid/1.root.json"]).unwrap()["version"], 1);
}

#[test]
fn we_walk_over_the_roots_of_python_tuf() {
    let place = place();
    fs::create_dir(place.path("made")).unwrap();
    let made = peer(&place, &["make", "made"]);
    assert!(made.success, "{}", made.stderr);
    let one = Root::pinned(&read(&place, "made/1.root.json")).unwrap();
    let texts = ["made/2.root.json", "made/3.root.json"].map(|file| read(&place, file));
    let walk = one.clone().walk(&texts.each_ref().map(Vec::as_slice));
    assert_eq!(walk.iter().map(Root::version).collect::<Vec<_>>(), [1, 2, 3]);
    let algorithms =
        |root: &Root| root.quorum(Role::Root).signers().iter().flat_map(Signer::algorithms).collect();
    let algorithms: Vec<Algorithm> = algorithms(&walk[2]);
    assert_eq!(algorithms, [Algorithm::Ed25519, Algorithm::EcdsaP256, Algorithm::RsaPss]);
    for (file, holds) in [
        ("2.root.json", true),
        ("new-keys-only.json", false),
        ("old-keys-only.json", false),
        ("3.root.json", false),
    ] {
        let theirs = walked(&place, &["made/1.root.json", &format!("made/{file}")]);
        assert_eq!(theirs.is_ok(), holds, "{file}: {theirs:?}");
        assert_eq!(one.update(&read(&place, &format!("made/{file}"))).is_ok(), holds, "{file}");
    }
    assert!(walked(&place, &["made/one-signature.json"]).is_err());
    assert!(Root::pinned(&read(&place, "made/one-signature.json")).is_err());
    // Names of keys are opaque to python-tuf, so that one key under two of them meets a threshold of two. Not here.
    assert!(walked(&place, &["made/one-key-twice.json"]).is_ok());
    let twice = Root::pinned(&read(&place, "made/one-key-twice.json")).unwrap_err().to_string();
    let alias = "0".repeat(64);
    assert!(twice.starts_with(&format!("the key {alias} has another name than its digest")), "{twice}");
    // And the command reads them as it reads its own, fields that it does not know and all.
    let shown = place.l3af("publisher show --folder made");
    assert!(shown.success && shown.stdout.contains("rsassa-pss-sha256"), "{}", shown.stderr);
}
