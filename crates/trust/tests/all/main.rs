// SPDX-License-Identifier: Apache-2.0
//! The door: what passes, and every way in which something does not.
#![expect(clippy::unwrap_used, reason = "in a test it fails the test")]

use std::collections::BTreeMap;

use jiff::Timestamp;
use package::{BlobError, Blobs, Digest, PackFile, PackSource, Package, Platform, pack};
use serde_json::Value;
use trust::{
    Assurance, Circumstances, Envelope, Evidence, Memory, PAYLOAD_TYPE, Policy, PolicyDocument, PrivateKey,
    Refused, Sign, Statement, Terms, Verified,
};

const OBJECT: &[u8] = include_bytes!("../../../package/testdata/small.bpf.o");
const NOW: &str = "2030-01-01T00:00:00Z";

struct Stored(BTreeMap<Digest, Vec<u8>>);

impl Blobs for Stored {
    fn blob(&self, digest: &Digest, _: u64) -> Result<Vec<u8>, BlobError> {
        self.0.get(digest).cloned().ok_or(BlobError::Missing)
    }
}

fn package_of(version: &str, readme: &str) -> Package {
    let manifest = format!(
        "[package]\nname = \"small\"\npublisher = \"example\"\nversion = \"{version}\"\ndescription = \"d\"\n\
         category = \"a\"\nsubcategory = \"b\"\nlicense = \"MIT\"\ndocumentation = \"README.md\"\n[kernel]\nmin = \
         \"5.10\"\n[[platform]]\nos = \"linux\"\narchitecture = \"amd64\"\n[[platform]]\nos = \"windows\"\n\
         architecture = \"amd64\"\n[[program]]\nfunction = \"first\"\nobject = \"small.bpf.o\"\nhook = \"xdp\"\n"
    );
    let file = |bytes: &[u8]| PackFile { bytes: bytes.to_vec(), executable: false };
    let files = [("small.bpf.o", file(OBJECT)), ("README.md", file(readme.as_bytes()))];
    let files = files.map(|(path, file)| (path.to_owned(), file)).into();
    let packed = pack(&PackSource { manifest, files }, 0).unwrap();
    let blobs = Stored(packed.blobs.iter().map(|blob| (blob.digest(), blob.bytes.clone())).collect());
    Package::read(&blobs, &packed.index.digest).unwrap()
}

fn package() -> Package {
    package_of("1.0.0", "# small")
}

fn key(seed: u8) -> PrivateKey {
    PrivateKey::from_seed([seed; 32])
}

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

fn linux() -> Platform {
    Platform::new("linux", "amd64").unwrap()
}

fn policy(text: &str, keys: &[&PrivateKey]) -> Policy {
    let keys: Vec<String> = keys.iter().map(|key| format!("'''{}'''", key.public().to_pem())).collect();
    let text = format!("[[publisher]]\nname = \"example\"\nkeys = [{}]\n{text}\n", keys.join(","));
    PolicyDocument::parse(&text).unwrap().resolve(&BTreeMap::new()).unwrap()
}

fn trusting(key: &PrivateKey) -> Policy {
    policy("packages = [\"*\"]", &[key])
}

/// Signs what the change makes of a true statement about the package.
fn signed(change: impl FnOnce(&mut Value), keys: &[&PrivateKey]) -> Vec<u8> {
    let statement = Statement::about(&package(), Terms::from(now()));
    let mut statement: Value = serde_json::from_slice(&statement.to_json()).unwrap();
    change(&mut statement);
    let keys: Vec<&dyn Sign> = keys.iter().map(|key| *key as &dyn Sign).collect();
    Envelope::sign(PAYLOAD_TYPE, serde_json::to_vec(&statement).unwrap(), &keys).unwrap().to_json()
}

fn truly_signed() -> Vec<u8> {
    signed(|_| {}, &[&key(1)])
}

fn verify(
    package: Package,
    envelopes: &[Vec<u8>],
    policy: &Policy,
    machine: &Platform,
    now: Timestamp,
) -> Result<Verified, Refused> {
    let evidence = Evidence { envelopes: envelopes.to_vec(), fetched_from: None };
    let memory = Memory::default();
    trust::verify(package, &evidence, &Circumstances::deployment(policy, machine, &memory, now)).outcome
}

#[track_caller]
fn refusal(result: Result<Verified, Refused>) -> String {
    let refused = result.unwrap_err();
    assert!(!refused.hint().is_empty());
    let words = refused.to_string();
    let short = words.split(' ').map(|word| if word.contains("sha256:") { "<digest>" } else { word });
    short.collect::<Vec<_>>().join(" ")
}

fn refusal_of(change: impl FnOnce(&mut Value)) -> String {
    refusal(verify(package(), &[signed(change, &[&key(1)])], &trusting(&key(1)), &linux(), now()))
}

#[test]
fn a_package_that_a_trusted_publisher_signed_for_this_machine_passes() {
    let verified = verify(package(), &[truly_signed()], &trusting(&key(1)), &linux(), now()).unwrap();
    let Assurance::Signed { publisher, keys, .. } = verified.assurance() else { panic!("it was signed") };
    assert_eq!((publisher.as_ref(), keys.as_slice()), ("example", &[key(1).public().id()][..]));
    assert_eq!(verified.platform().platform, linux());
}

#[test]
fn an_empty_policy_refuses_everything() {
    let refused = refusal(verify(package(), &[truly_signed()], &Policy::default(), &linux(), now()));
    insta::assert_snapshot!(refused, @"nobody named `example` is trusted here");
}

#[test]
fn a_package_that_is_not_signed_is_refused() {
    let refused = refusal(verify(package(), &[], &trusting(&key(1)), &linux(), now()));
    insta::assert_snapshot!(refused, @"package `small` is not signed");
}

#[test]
fn a_publisher_is_trusted_for_their_packages_only() {
    let policy = policy("packages = [\"large*\"]", &[&key(1)]);
    let refused = refusal(verify(package(), &[truly_signed()], &policy, &linux(), now()));
    insta::assert_snapshot!(refused, @"publisher `example` is not trusted for package `small`");
}

#[test]
fn a_key_that_the_policy_does_not_name_counts_for_nothing() {
    let refused =
        refusal(verify(package(), &[signed(|_| {}, &[&key(2)])], &trusting(&key(1)), &linux(), now()));
    assert!(
        refused.starts_with(
            "no statement about package `small` holds: 0 of the trusted signers signed it, 1 must"
        )
    );
}

#[test]
fn a_threshold_counts_keys() {
    let policy = policy("packages = [\"*\"]\nthreshold = 2", &[&key(1), &key(2), &key(3)]);
    let verified =
        |keys: &[&PrivateKey]| verify(package(), &[signed(|_| {}, keys)], &policy, &linux(), now());
    assert!(verified(&[&key(1)]).is_err());
    assert!(verified(&[&key(1), &key(1)]).is_err());
    assert!(verified(&[&key(1), &key(9)]).is_err());
    assert!(verified(&[&key(1), &key(3)]).is_ok());
    // Two statements with one signature each are not one statement with two.
    let apart = [signed(|_| {}, &[&key(1)]), signed(|_| {}, &[&key(2)])];
    assert!(verify(package(), &apart, &policy, &linux(), now()).is_err());
}

#[test]
fn one_statement_that_holds_is_enough() {
    let envelopes = [b"{".to_vec(), signed(|_| {}, &[&key(2)]), truly_signed()];
    assert!(verify(package(), &envelopes, &trusting(&key(1)), &linux(), now()).is_ok());
}

#[test]
fn a_statement_about_another_release_is_refused() {
    insta::assert_snapshot!(refusal_of(|s| s["predicate"]["package"] = "other".into()), @"no statement about package `small` holds: it is about package `other`, and the package's is `small`");
    insta::assert_snapshot!(refusal_of(|s| s["predicate"]["version"] = "1.0.1".into()), @"no statement about package `small` holds: it is about version `1.0.1`, and the package's is `1.0.0`");
    insta::assert_snapshot!(refusal_of(|s| s["predicate"]["publisher"] = "other".into()), @"no statement about package `small` holds: it is about publisher `other`, and the package's is `example`");
    let other = Digest::of(b"other").to_string();
    insta::assert_snapshot!(refusal_of(|s| s["predicate"]["index"] = other.clone().into()), @"no statement about package `small` holds: it is about index <digest> and the package's is <digest>");
    insta::assert_snapshot!(refusal_of(|s| s["subject"] = Value::Array(Vec::new())), @"no statement about package `small` holds: its subjects do not include <digest> which it is about");
    let refused = refusal(verify(
        package_of("1.0.0", "# changed"),
        &[truly_signed()],
        &trusting(&key(1)),
        &linux(),
        now(),
    ));
    insta::assert_snapshot!(refused, @"no statement about package `small` holds: it is about index <digest> and the package's is <digest>");
}

#[test]
fn a_statement_for_another_platform_is_refused() {
    let windows = Platform::new("windows", "amd64").unwrap();
    assert!(verify(package(), &[truly_signed()], &trusting(&key(1)), &windows, now()).is_ok());
    // A statement that speaks of Linux only, replayed for Windows.
    let linux_only = |s: &mut Value| drop(s["predicate"]["platforms"].as_array_mut().unwrap().remove(1));
    let refused =
        refusal(verify(package(), &[signed(linux_only, &[&key(1)])], &trusting(&key(1)), &windows, now()));
    insta::assert_snapshot!(refused, @"no statement about package `small` holds: it has 0 entries for windows/amd64, and must have one");
    // The same with the Linux entry's name changed.
    let renamed = |s: &mut Value| s["predicate"]["platforms"][0]["platform"]["os"] = "windows".into();
    let refused =
        refusal(verify(package(), &[signed(renamed, &[&key(1)])], &trusting(&key(1)), &windows, now()));
    insta::assert_snapshot!(refused, @"no statement about package `small` holds: it has 2 entries for windows/amd64, and must have one");
    let swapped = |s: &mut Value| {
        s["predicate"]["platforms"][0]["manifest"] = s["predicate"]["platforms"][1]["manifest"].clone();
    };
    insta::assert_snapshot!(refusal_of(swapped), @"no statement about package `small` holds: it is about image manifest <digest> and the package's is <digest>");
    insta::assert_snapshot!(refusal_of(|s| s["predicate"]["platforms"][0]["format"] = "pe".into()), @"no statement about package `small` holds: it is for objects of the format `pe`, and these are `elf`");
    let arm = Platform::new("linux", "arm64").unwrap();
    let refused = refusal(verify(package(), &[truly_signed()], &trusting(&key(1)), &arm, now()));
    insta::assert_snapshot!(refused, @"package `small` is not built for linux/arm64");
}

#[test]
fn every_file_must_be_the_one_that_was_signed() {
    let other = Digest::of(b"other").to_string();
    let changed =
        |s: &mut Value| s["predicate"]["platforms"][0]["files"]["small.bpf.o"] = other.clone().into();
    insta::assert_snapshot!(refusal_of(changed), @"no statement about package `small` holds: the file `small.bpf.o` is not the one that was signed");
    let left_out = |s: &mut Value| {
        drop(s["predicate"]["platforms"][0]["files"].as_object_mut().unwrap().remove("README.md"));
    };
    insta::assert_snapshot!(refusal_of(left_out), @"no statement about package `small` holds: the file `README.md` is not the one that was signed");
}

#[test]
fn a_statement_holds_in_its_time_only() {
    let at = |time: &str| time.to_owned();
    insta::assert_snapshot!(refusal_of(|s| s["predicate"]["expires"] = at(NOW).into()), @"no statement about package `small` holds: it expired at 2030-01-01T00:00:00Z");
    insta::assert_snapshot!(refusal_of(|s| s["predicate"]["created"] = at("2030-01-01T00:05:01Z").into()), @"no statement about package `small` holds: it was made at 2030-01-01T00:05:01Z, which is in the future");
    let soon = signed(|s| s["predicate"]["created"] = at("2030-01-01T00:05:00Z").into(), &[&key(1)]);
    assert!(verify(package(), &[soon], &trusting(&key(1)), &linux(), now()).is_ok());
}

#[test]
fn what_is_not_a_release_statement_is_refused() {
    insta::assert_snapshot!(refusal_of(|s| s["predicateType"] = "https://slsa.dev/provenance/v1".into()), @"no statement about package `small` holds: what was signed is a statement of type `https://slsa.dev/provenance/v1`, not `https://l3af.io/release-statement/v1`");
    insta::assert_snapshot!(refusal_of(|s| s["_type"] = "x".into()), @"no statement about package `small` holds: what was signed is a statement of type `x`, not `https://in-toto.io/Statement/v1`");
    insta::assert_snapshot!(refusal_of(|s| *s = Value::Null), @"no statement about package `small` holds: what was signed is not a release statement: invalid type: null, expected struct Statement");
    let other_type = Envelope::sign("text/plain", b"{}".to_vec(), &[&key(1)]).unwrap().to_json();
    let refused = refusal(verify(package(), &[other_type], &trusting(&key(1)), &linux(), now()));
    insta::assert_snapshot!(refused, @"no statement about package `small` holds: the payload is a `text/plain`, not a `application/vnd.in-toto+json`");
}

#[test]
fn mode_normal_accepts_everything_and_says_that_nothing_was_verified() {
    let policy = PolicyDocument::parse("mode = \"normal\"").unwrap().resolve(&BTreeMap::new()).unwrap();
    let verified = verify(package(), &[], &policy, &linux(), now()).unwrap();
    assert_eq!(*verified.assurance(), Assurance::None);
}
