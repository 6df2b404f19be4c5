// SPDX-License-Identifier: Apache-2.0
//! What holds of policies, statements, keys and roots, whatever their bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::str;

use package::{Digest, Format, Glob, Platform, Privileges};
use trust::{
    Circumstances, Endorsement, Envelope, Evidence, Found, FoundPlatform, Memory, Mode, PAYLOAD_TYPE, Policy,
    PolicyDocument, Predicate, PrivateKey, PublicKey, Quorum, Release, Releases, Signer, Statement, judge,
};

/// Any policy is read or refused; in whatever policy that verifies at all, nothing passes that nobody signed.
pub fn policy(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let Ok(document) = PolicyDocument::parse(text) else { return };
    let key = PrivateKey::from_seed([7; 32]).public().to_pem();
    let files: BTreeMap<String, String> =
        document.files().map(|path| (path.to_owned(), key.clone())).collect();
    let Ok(policy) = document.resolve(&files) else { return };
    assert!(policy.mode() == Mode::Normal || !lets_in_unsigned(&policy), "nobody signed it");
}

fn lets_in_unsigned(policy: &Policy) -> bool {
    let machine = Platform::new("linux", "amd64").expect("there is such a platform");
    let found = Found {
        publisher: "a".parse().expect("a name"),
        package: "a".parse().expect("a name"),
        version: "1.0.0".parse().expect("a version"),
        index: None,
        privileges: Privileges::default(),
        entry: FoundPlatform {
            platform: machine.clone(),
            format: Format::Elf,
            manifest: None,
            files: [("a".to_owned(), Digest::of(b"a"))].into(),
            kernel_min: None,
            hooks: BTreeSet::new(),
        },
    };
    let now = "2030-01-01T00:00:00Z".parse().expect("a time");
    let memory = Memory::default();
    let at = Circumstances::deployment(policy, &machine, &memory, now);
    judge(&found, &Evidence::default(), &at).outcome.is_ok()
}

/// Any bytes that somebody signed are read or refused as a statement; what is read is what was written.
pub fn statement(bytes: &[u8]) {
    for bytes in [bytes.to_vec(), about::<Release>(bytes), about::<Endorsement>(bytes)] {
        is_read_as_written::<Release>(&bytes);
        is_read_as_written::<Endorsement>(&bytes);
    }
}

/// The bytes as what is stated, so that fuzzers need not find out the rest.
fn about<P: Predicate>(predicate: &[u8]) -> Vec<u8> {
    let head = r#"{"_type":"https://in-toto.io/Statement/v1","subject":[],"predicateType":""#;
    [head.as_bytes(), P::TYPE.as_bytes(), br#"","predicate":"#, predicate, b"}"].concat()
}

fn is_read_as_written<P: Predicate + PartialEq + std::fmt::Debug>(payload: &[u8]) {
    let Some(read) = signed::<P>(payload) else { return };
    let again = signed::<P>(&read.to_json()).expect("what is written can be read");
    assert_eq!(again, read, "what is read is what was written");
}

fn signed<P: Predicate>(payload: &[u8]) -> Option<Statement<P>> {
    let key = PrivateKey::from_seed([7; 32]);
    let quorum = Quorum::new(vec![key.public().clone().into()], 1).expect("one of one");
    let envelope = Envelope::sign(PAYLOAD_TYPE, payload.to_vec(), &[&key]).expect("a key in memory signs");
    let verified = envelope.verify(&quorum, |_| Ok(())).expect("it was signed");
    Statement::parse(&verified).ok()
}

/// Any key is read or refused; it is the same when it is written and read again.
pub fn key(bytes: &[u8]) {
    if let Ok(key) = PublicKey::from_spki(bytes) {
        assert_eq!(PublicKey::from_pem(&key.to_pem()), Ok(key), "what is read is what was written");
    }
    let Ok(text) = str::from_utf8(bytes) else { return };
    if let Ok(signer) = Signer::from_pem(text) {
        assert_eq!(Signer::from_pem(&signer.to_pem()), Ok(signer), "what is read is what was written");
    }
    let Ok(keys) = PrivateKey::all_from_pem(text, None) else { return };
    for key in keys {
        let again = PrivateKey::from_pem(&key.to_pem()).expect("what is written can be read");
        assert_eq!(again.public(), key.public(), "what is read is what was written");
    }
}

/// Any pattern, up to the first line end, matches what it should of what follows.
pub fn glob(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let (pattern, name) = text.split_once('\n').unwrap_or((text, text));
    // Letter by letter, each star standing for nothing or for one letter more: slow, and plainly right.
    let name_letters: Vec<char> = name.chars().collect();
    let mut reached = BTreeSet::from([0]);
    for letter in pattern.chars() {
        reached = match letter {
            '*' => {
                reached.first().map_or_else(BTreeSet::new, |least| (*least..=name_letters.len()).collect())
            }
            _ => {
                reached.iter().filter(|at| name_letters.get(**at) == Some(&letter)).map(|at| at + 1).collect()
            }
        };
    }
    assert_eq!(
        Glob::from(pattern).matches(name),
        reached.contains(&name_letters.len()),
        "`{pattern}` `{name}`"
    );
}

/// Any name of releases is read or refused; it is the same when it is written and read again.
pub fn releases(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let Ok(releases) = text.parse::<Releases>() else { return };
    assert_eq!(releases.to_string().parse(), Ok(releases), "what is read is what was written");
}
