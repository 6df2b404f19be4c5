// SPDX-License-Identifier: Apache-2.0
//! Keys that authorities certify, and numbers that certificates prove.

mod roots;

use std::collections::{BTreeMap, BTreeSet};

use package::{Digest, Format, Privileges};

use super::*;
use crate::certificate::forge::{Body, policies};
use crate::found::FoundPlatform;
use crate::{Chain, Envelope, PAYLOAD_TYPE, PolicyDocument, PrivateKey, Release, Signer, Statement, Terms};

const NOW: &str = "2030-01-01T00:00:00Z";
const PEN: u32 = 32473;

fn key(seed: u8) -> PrivateKey {
    PrivateKey::from_seed([seed; 32])
}

fn found() -> Found {
    let files = BTreeMap::from([("small.bpf.o".to_owned(), Digest::of(b"object"))]);
    Found {
        publisher: "example".parse().unwrap(),
        package: "small".parse().unwrap(),
        version: "1.0.0".parse().unwrap(),
        index: None,
        privileges: Privileges::default(),
        entry: FoundPlatform {
            platform: Platform::new("linux", "amd64").unwrap(),
            format: Format::Elf,
            manifest: None,
            files,
            kernel_min: None,
            hooks: BTreeSet::new(),
        },
    }
}

/// A policy that demands certificates of one authority, and perhaps a number, of a signer who has one with these policies.
fn policy(text: &str, certified: Option<&[&str]>) -> Policy {
    let authority = Body::authority("CN=root", key(9).public(), "CN=root", None).sign(&key(9));
    let mut signer = Signer::from(key(1).public().clone());
    if let Some(oids) = certified {
        let mut body = Body::signer(key(1).public(), "CN=root");
        body.extensions.push(policies(oids));
        let chain = crate::pem::encode("CERTIFICATE", &body.sign(&key(9)));
        signer = signer.with_chain(Chain::from_pem(&chain).unwrap());
    }
    let text = format!(
        "[[publisher]]\nname = \"example\"\npackages = [\"*\"]\nkey_files = [\"key\"]\nauthority_files = [\"ca\"]\n{text}"
    );
    let files = [("key", signer.to_pem()), ("ca", crate::pem::encode("CERTIFICATE", &authority))];
    let files = files.map(|(path, text)| (path.to_owned(), text)).into();
    PolicyDocument::parse(&text).unwrap().resolve(&files).unwrap()
}

fn judged(policy: &Policy, pen: Option<u32>, now: &str, occasion: Occasion) -> Result<Assurance, Refused> {
    let created = "2029-06-01T00:00:00Z".parse().unwrap();
    let terms = Terms { pen: pen.map(|pen| pen.try_into().unwrap()), ..Terms::from(created) };
    let statement: Statement<Release> = Statement::about_object(&found(), None, terms);
    let envelope = Envelope::sign(PAYLOAD_TYPE, statement.to_json(), &[&key(1)]).unwrap();
    let evidence = Evidence { envelopes: vec![envelope.to_json()], roots: Vec::new(), fetched_from: None };
    let machine = Platform::new("linux", "amd64").unwrap();
    let memory = Memory::default();
    let at = Circumstances::deployment(policy, &machine, &memory, now.parse().unwrap());
    judge(&found(), &evidence, &Circumstances { occasion, ..at }).outcome
}

#[track_caller]
fn refused(policy: &Policy, pen: Option<u32>) -> String {
    let refused = judged(policy, pen, NOW, Occasion::Deployment).unwrap_err().to_string();
    refused.trim_start_matches("no statement about package `small` holds: ").to_owned()
}

const ARC: &[&str] = &["1.3.6.1.4.1.32473.7"];

#[test]
fn a_number_that_a_certificate_proves_is_accepted() {
    let demanding = policy("pen = 32473", Some(ARC));
    assert!(judged(&demanding, Some(PEN), NOW, Occasion::Deployment).is_ok());
    let silent = policy("", Some(ARC));
    assert!(judged(&silent, Some(PEN), NOW, Occasion::Deployment).is_ok());
    assert!(judged(&silent, None, NOW, Occasion::Deployment).is_ok());
}

#[test]
fn a_number_that_nothing_proves_is_refused() {
    insta::assert_snapshot!(refused(&policy("", Some(&["1.3.6.1.4.1.324731.7"])), Some(PEN)), @"it claims the Private Enterprise Number 32473, which nothing proves: the certificate of `CN=signer,O=example` has no policy or purpose below 1.3.6.1.4.1.32473, but below 1.3.6.1.4.1.324731");
    insta::assert_snapshot!(refused(&policy("pen = 32473", Some(ARC)), None), @"it claims no Private Enterprise Number, and the policy demands 32473");
    insta::assert_snapshot!(refused(&policy("pen = 32473", Some(ARC)), Some(1)), @"it claims the Private Enterprise Number 1, and the policy demands 32473");
    insta::assert_snapshot!(refused(&policy("pen = 32473", Some(&["1.3.6.1.4.1.1.7"])), Some(PEN)), @"0 of the trusted signers signed it, 1 must; it names the keys 7ab6b86cb2c9684b; that of 7ab6b86cb2c9684b does not count: the certificate of `CN=signer,O=example` has no policy or purpose below 1.3.6.1.4.1.32473, but below 1.3.6.1.4.1.1");
    insta::assert_snapshot!(refused(&Policy::trusting("example".parse().unwrap(), key(1).public().clone().into()), Some(PEN)), @"it claims the Private Enterprise Number 32473, which nothing proves: no certificate came with the key");
}

#[test]
fn a_key_without_a_certificate_counts_for_nothing_where_authorities_must_know_it() {
    insta::assert_snapshot!(refused(&policy("", None), None), @"0 of the trusted signers signed it, 1 must; it names the keys 7ab6b86cb2c9684b; that of 7ab6b86cb2c9684b does not count: no certificate came with the key");
}

#[test]
fn a_certificate_that_ran_out_forbids_what_is_new_and_nothing_that_runs() {
    let policy = policy("pen = 32473", Some(ARC));
    let later = "2032-01-01T00:00:00Z";
    let refused = judged(&policy, Some(PEN), later, Occasion::Deployment).unwrap_err().to_string();
    assert!(refused.contains("expired at 2031-01-01T00:00:00Z"), "{refused}");
    assert!(judged(&policy, Some(PEN), later, Occasion::Continuation).is_ok());
}
