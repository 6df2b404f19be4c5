// SPDX-License-Identifier: Apache-2.0
//! What holds of any policy, any envelope and any number of signatures.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use jiff::{SignedDuration, Timestamp};
use package::{Package, Platform};
use proptest::prelude::*;
use proptest::sample::subsequence;
use serde_json::Value;
use trust::{
    Circumstances, Envelope, Evidence, Memory, Occasion, PAYLOAD_TYPE, Policy, PrivateKey, Quorum, Sign,
    Signer, Statement, Terms, verify,
};

use crate::case::ReleaseRecipe;
use crate::recipe::key;
use crate::rules::{linux, now, policy, signed_by};

static PACKAGE: LazyLock<Package> = LazyLock::new(|| ReleaseRecipe::default().package());

/// Parts of policies that let something in, in several ways.
fn grants() -> Vec<String> {
    let publisher = |who: &str, rest: &str| {
        let pem = key(who).public().to_pem();
        format!("[[publisher]]\nname = \"{who}\"\nkeys = ['''{pem}''']\n{rest}\n")
    };
    let index = PACKAGE.index;
    let exception = |until: &str| {
        format!("[[exception]]\ndigest = \"{index}\"\nreason = \"\"\nuntil = \"{until}T00:00:00Z\"\n")
    };
    let example = publisher("alice", "packages = [\"sma*\"]").replace("\"alice\"", "\"example\"");
    vec![
        example.clone() + "threshold = 1\n",
        publisher("bob", "packages = [\"*\"]"),
        publisher("mallory", "packages = [\"large\"]\nhooks = [\"xdp\"]"),
        exception("2029-06-01"),
        exception("2031-01-01"),
    ]
}

/// Parts of policies that keep something out, some of them what is tried here.
fn revocations() -> Vec<String> {
    let package = &*PACKAGE;
    let revoked = |what: String| format!("[[revoked]]\n{what}\nreason = \"r\"\n");
    vec![
        revoked(format!("key = \"{}\"", key("alice").public().id())),
        revoked(format!("key = \"{}\"", key("bob").public().id())),
        revoked(format!("digest = \"{}\"", package.index)),
        revoked(format!("digest = \"{}\"", package.platforms[1].manifest)),
        revoked("release = \"example/small@<2\"".to_owned()),
        revoked("release = \"example/small@2.0.0\"".to_owned()),
        revoked("release = \"example/large@*\"".to_owned()),
    ]
}

/// What is verified, and when.
#[derive(Debug, Clone)]
struct Trial {
    signers: Vec<&'static str>,
    created: Timestamp,
    expires: Option<Timestamp>,
    now: Timestamp,
    looked: Option<Timestamp>,
    machine: Platform,
    memory: Memory,
}

impl Trial {
    fn accepts(&self, policy: &Policy, occasion: Occasion) -> bool {
        let Self { created, expires, now, looked, .. } = *self;
        let package = PACKAGE.clone();
        let terms = Terms { expires, ..Terms::from(created) };
        let statement = Statement::about(&package, terms).to_json();
        let keys: Vec<PrivateKey> = self.signers.iter().map(|name| key(name)).collect();
        let keys: Vec<&dyn Sign> = keys.iter().map(|key| key as &dyn Sign).collect();
        let envelope = Envelope::sign(PAYLOAD_TYPE, statement, &keys).unwrap().to_json();
        let evidence = Evidence { envelopes: vec![envelope], roots: Vec::new(), fetched_from: None };
        let (machine, memory) = (&self.machine, &self.memory);
        let at = Circumstances { policy, machine, memory, now, looked, occasion };
        verify(package, &evidence, &at).outcome.is_ok()
    }
}

fn a_time() -> impl Strategy<Value = Timestamp> {
    (-2_i64..3).prop_map(|days| now() + SignedDuration::from_hours(24 * days))
}

fn a_trial() -> impl Strategy<Value = Trial> {
    let memory = prop_oneof![
        3 => Just(String::new()),
        1 => Just("versions.example.small = \"1.0.1\"".to_owned()),
        1 => a_time().prop_map(|time| format!("newest_statement = \"{time}\"")),
    ];
    let machine = prop_oneof![3 => Just(linux()), 1 => Just(Platform::new("linux", "arm64").unwrap())];
    let signers = subsequence(vec!["alice", "bob", "mallory"], 0..=3);
    let times = (a_time(), proptest::option::of(a_time()), a_time(), proptest::option::of(a_time()));
    (signers, times, machine, memory).prop_map(
        |(signers, (created, expires, now, looked), machine, memory)| {
            let memory = toml::from_str(&memory).unwrap();
            Trial { signers, created, expires, now, looked, machine, memory }
        },
    )
}

/// A policy in its parts: what stands on top, and what follows.
fn a_policy() -> impl Strategy<Value = (String, Vec<String>)> {
    let top = prop_oneof![
        3 => Just(""),
        1 => Just("max_age_hours = 24\n"),
        1 => Just("algorithms = [\"ml-dsa-65/1\"]\n")
    ];
    (top.prop_map(str::to_owned), subsequence(grants(), 0..=5))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_revocation_never_lets_more_in(
        trial in a_trial(),
        (top, grants) in a_policy(),
        before in subsequence(revocations(), 0..=2),
        added in proptest::sample::select(revocations()),
    ) {
        let less = top + &grants.concat() + &before.concat();
        let (without, with) = (policy(&less), policy(&(less.clone() + &added)));
        for occasion in [Occasion::Deployment, Occasion::Continuation] {
            prop_assert!(trial.accepts(&without, occasion) || !trial.accepts(&with, occasion));
        }
    }

    #[test]
    fn what_is_taken_from_a_policy_never_lets_more_in(
        trial in a_trial(),
        (top, mut grants) in a_policy(),
        removed: proptest::sample::Index,
    ) {
        let more = policy(&(top.clone() + &grants.concat()));
        if !grants.is_empty() {
            grants.remove(removed.index(grants.len()));
        }
        let less = policy(&(top + &grants.concat()));
        for occasion in [Occasion::Deployment, Occasion::Continuation] {
            prop_assert!(trial.accepts(&more, occasion) || !trial.accepts(&less, occasion));
        }
    }

    #[test]
    fn what_may_begin_may_go_on(trial in a_trial(), (top, grants) in a_policy()) {
        let policy = policy(&(top + &grants.concat()));
        let begins = trial.accepts(&policy, Occasion::Deployment);
        prop_assert!(!begins || trial.accepts(&policy, Occasion::Continuation));
    }

    #[test]
    fn signers_are_counted_whatever_the_order_and_number_of_signatures(
        by in proptest::collection::vec(0..6_usize, 0..12),
        threshold in 1..4_usize,
        seed: u64,
    ) {
        // Three hybrids; a signature is by one half of one of them.
        const NAMES: [&str; 6] = ["alice", "alice-quantum", "bob", "bob-quantum", "erin", "erin-quantum"];
        let keys = NAMES.map(key);
        let hybrid = |pair: &[PrivateKey]| Signer::of(pair.iter().map(|key| key.public().clone()).collect());
        let signers = keys.chunks(2).map(|pair| hybrid(pair).unwrap()).collect();
        let quorum = Quorum::new(signers, threshold).unwrap();
        let signing: Vec<&dyn Sign> = by.iter().map(|half| &keys[*half] as &dyn Sign).collect();
        let envelope = Envelope::sign(PAYLOAD_TYPE, b"{}".to_vec(), &signing).unwrap().to_json();
        let mut envelope: Value = serde_json::from_slice(&envelope).unwrap();
        let signatures = envelope["signatures"].as_array_mut().unwrap();
        let places = signatures.len().max(1) as u64;
        signatures.rotate_left(usize::try_from(seed % places).unwrap());
        let envelope = Envelope::parse(&serde_json::to_vec(&envelope).unwrap()).unwrap();
        let signed: BTreeSet<usize> = by.iter().copied().collect();
        let whole = (0..3).filter(|signer| signed.contains(&(2 * signer)) && signed.contains(&(2 * signer + 1)));
        let whole = whole.count();
        match envelope.verify(&quorum, |_| Ok(())) {
            Ok(verified) => prop_assert_eq!((verified.keys().len(), whole >= threshold), (2 * whole, true)),
            Err(_) => prop_assert!(whole < threshold),
        }
    }

    #[test]
    fn an_envelope_verifies_only_with_the_bytes_that_were_signed(
        at: proptest::sample::Index,
        byte: u8,
        kind in 0..3_u8,
    ) {
        let signed = signed_by("alice");
        let mut changed = signed.clone();
        let at = at.index(changed.len());
        match kind {
            0 => changed[at] = byte,
            1 => changed.insert(at, byte),
            _ => drop(changed.remove(at)),
        }
        let quorum = Quorum::new(vec![key("alice").public().clone().into()], 1).unwrap();
        let first = Envelope::parse(&signed).unwrap();
        let first = first.verify(&quorum, |_| Ok(())).unwrap();
        if let Ok(envelope) = Envelope::parse(&changed)
            && let Ok(verified) = envelope.verify(&quorum, |_| Ok(()))
        {
            prop_assert_eq!(verified.payload(), first.payload());
        }
    }

    #[test]
    fn statements_read_as_they_are_written(
        version in "[0-9]{1,3}\\.[0-9]\\.[0-9](-[a-z]{1,5})?",
        readme: String,
        single: bool,
        days in -20_000_i64..20_000,
        expires in proptest::option::of(a_time()),
    ) {
        let release = ReleaseRecipe { version: version.clone(), readme, ..ReleaseRecipe::default() };
        prop_assume!(version.parse::<package::Version>().is_ok());
        let created = now() + SignedDuration::from_hours(24 * days);
        let terms = Terms { expires, ..Terms::from(created) };
        let statement = if single {
            Statement::about_object(&release.object(), None, terms)
        } else {
            Statement::about(&release.package(), terms)
        };
        let envelope = Envelope::sign(PAYLOAD_TYPE, statement.to_json(), &[&key("alice")]).unwrap();
        let quorum = Quorum::new(vec![key("alice").public().clone().into()], 1).unwrap();
        let verified = envelope.verify(&quorum, |_| Ok(())).unwrap();
        prop_assert_eq!(Statement::parse(&verified).unwrap(), statement);
    }
}
