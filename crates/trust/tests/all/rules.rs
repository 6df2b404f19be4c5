// SPDX-License-Identifier: Apache-2.0
//! What passes, and how it is told. What does not is in `testdata`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use package::Platform;
use trust::{
    Assurance, Circumstances, Envelope, Evidence, Judgement, MAX_ENVELOPE_BYTES, Memory, Occasion,
    PAYLOAD_TYPE, Policy, PolicyDocument, Statement, Terms, Verified, keep, verify,
};

use crate::case::{Case, ReleaseRecipe};
use crate::recipe::key;

/// The beginning of 2030.
pub(crate) fn now() -> Timestamp {
    "2030-01-01T00:00:00Z".parse().unwrap()
}

pub(crate) fn linux() -> Platform {
    Platform::new("linux", "amd64").unwrap()
}

pub(crate) fn policy(text: &str) -> Policy {
    PolicyDocument::parse(text).unwrap().resolve(&BTreeMap::new()).unwrap()
}

/// A policy that trusts this person for all packages of `example`.
pub(crate) fn trusting(name: &str) -> Policy {
    Policy::trusting("example".parse().unwrap(), key(name).public().clone().into())
}

/// A true statement about the package, signed by this person.
pub(crate) fn signed_by(name: &str) -> Vec<u8> {
    let statement = Statement::about(&ReleaseRecipe::default().package(), Terms::from(now()));
    Envelope::sign(PAYLOAD_TYPE, statement.to_json(), &[&key(name)]).unwrap().to_json()
}

fn verified(envelopes: &[Vec<u8>], policy: &Policy, memory: &Memory) -> Judgement<Verified> {
    let evidence = Evidence { envelopes: envelopes.to_vec(), roots: Vec::new(), fetched_from: None };
    let machine = linux();
    let at = Circumstances::deployment(policy, &machine, memory, now());
    verify(ReleaseRecipe::default().package(), &evidence, &at)
}

#[test]
fn a_package_that_a_trusted_publisher_signed_for_this_machine_passes() {
    let verified = verified(&[signed_by("alice")], &trusting("alice"), &Memory::default()).outcome.unwrap();
    let Assurance::Signed { publisher, keys, .. } = verified.assurance() else { panic!("it was signed") };
    assert_eq!((publisher.as_ref(), keys.as_slice()), ("example", &[key("alice").public().id()][..]));
    assert_eq!(verified.platform().platform, linux());
}

#[test]
fn one_statement_that_holds_is_enough() {
    let too_large = vec![b' '; MAX_ENVELOPE_BYTES + 1];
    let envelopes = [b"{".to_vec(), too_large, signed_by("mallory"), signed_by("alice")];
    assert!(verified(&envelopes, &trusting("alice"), &Memory::default()).outcome.is_ok());
}

#[test]
fn mode_normal_accepts_everything_and_says_that_nothing_was_verified() {
    let judgement = verified(&[], &policy("mode = \"normal\""), &Memory::default());
    assert_eq!(*judgement.outcome.unwrap().assurance(), Assurance::None);
    insta::assert_snapshot!(judgement.explanation, @"skipped mode               normal: nothing is verified in this mode");
}

#[test]
fn an_exception_says_why_and_until_when() {
    let index = ReleaseRecipe::default().package().index;
    let text = format!(
        "[[exception]]\ndigest = \"{index}\"\nreason = \"a trial\"\nuntil = \"2030-02-01T00:00:00Z\""
    );
    let verified = verified(&[], &policy(&text), &Memory::default()).outcome.unwrap();
    let until = "2030-02-01T00:00:00Z".parse().unwrap();
    assert_eq!(*verified.assurance(), Assurance::Exception { reason: "a trial".to_owned(), until });
}

#[test]
fn only_what_was_signed_is_remembered() {
    let mut memory = Memory::default();
    memory.remember(&verified(&[], &policy("mode = \"normal\""), &memory).outcome.unwrap());
    assert_eq!(memory, Memory::default());
    memory.remember(&verified(&[signed_by("alice")], &trusting("alice"), &memory).outcome.unwrap());
    let version = memory.version(&"example".parse().unwrap(), &"small".parse().unwrap());
    assert_eq!(version.map(ToString::to_string).as_deref(), Some("1.0.0"));
    assert_eq!(memory.time("2029-01-01T00:00:00Z".parse().unwrap()), now());
}

#[test]
fn an_explanation_tells_each_rule_up_to_the_one_that_does_not_hold() {
    let envelopes = [signed_by("mallory"), signed_by("alice")];
    let judgement = verified(&envelopes, &trusting("alice"), &Memory::default());
    insta::assert_snapshot!(judgement.explanation, @"
    passed  mode               trusted
    passed  platform           linux/amd64
    passed  repository         this machine
    passed  revocation         example/small 1.0.0
    skipped freshness          max_age_hours: the policy sets none
    skipped exception          example/small 1.0.0: the policy makes none
    passed  publisher          example
    passed  package            small
    passed  publisher-platform linux/amd64
    passed  hooks              xdp
    passed  minimum-version    1.0.0
    skipped root               example: the policy names keys
    skipped certification      example: the policy names keys
    statement sha256:8a4d2362b45f7b06c75923079ac166ce31336cb3b23a07b6c97dd79ff36e938e
      passed  envelope           2420 bytes
      FAILED  signatures         1 signatures: 0 of the trusted signers signed it, 1 must; it names the keys f27418f345f00a55
    statement sha256:721ecc05699fca2c3343d9e537e46eab7e7fae188c95ad7648e21db79d4beec4
      passed  envelope           2420 bytes
      passed  signatures         1 signatures
      passed  statement          what was signed
      passed  release            example/small 1.0.0
      passed  platform-entry     linux/amd64
      passed  files              3 files
      passed  subjects           example/small 1.0.0
      passed  created            2030-01-01T00:00:00Z
      skipped expiry             no time: the statement does not expire
      skipped pen                no number: none is claimed, and none is demanded
    ");
}

/// The attack of that name.
fn attack(name: &str) -> Case {
    Case::attacks().into_iter().find(|case| case.name() == name).unwrap()
}

/// What is told of certifications and numbers, with `<digest>` for each digest.
fn told_of_numbers(case: &Case) -> String {
    let explanation = case.judgement().explanation.to_string();
    let lines = explanation.lines().map(str::trim_start);
    let lines = lines.filter(|line| line.contains(" certification  ") || line.contains(" pen  "));
    let words = |word: &str| if word.starts_with("sha256:") { "<digest>" } else { word }.to_owned();
    let lines = lines.map(|line| line.split_whitespace().map(words).collect::<Vec<_>>().join(" "));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn an_explanation_tells_what_became_of_certifications_and_what_proves_a_number() {
    let attacked = attack("certification-of-another-root");
    insta::assert_snapshot!(told_of_numbers(&attacked.twin()), @"
    passed certification <digest> for 1.3.6.1.4.1.32473 by `O=example,CN=certified`
    passed pen 1.3.6.1.4.1.32473, by a certification of the root
    ");
    insta::assert_snapshot!(told_of_numbers(&attacked), @"
    FAILED certification <digest> it certifies the root <digest> of `example`, not <digest>
    ");
    insta::assert_snapshot!(told_of_numbers(&attack("certificate-of-another-arc").twin()), @"
    skipped certification example: the policy names keys
    passed pen 1.3.6.1.4.1.32473, by certificates of those who signed
    ");
    insta::assert_snapshot!(told_of_numbers(&attack("certification-without-authorities").twin()), @"
    skipped certification example: the policy names no authorities
    skipped pen no number: none is claimed, and none is demanded
    ");
    insta::assert_snapshot!(told_of_numbers(&attack("root-expired").twin()), @"
    skipped certification example: none came with it
    skipped pen no number: none is claimed, and none is demanded
    ");
}

#[test]
fn what_lost_its_trust_runs_on_only_where_the_policy_says_so() {
    let text = "[[hook]]\nname = \"eth0/xdp\"\non_revoked = \"keep\"";
    let (policy, machine, memory) = (policy(text), linux(), Memory::default());
    let mut at = Circumstances::deployment(&policy, &machine, &memory, now());
    let package = || ReleaseRecipe::default().package();
    let refused = verify(package(), &Evidence::default(), &at).outcome.unwrap_err();
    assert!(keep(package(), &refused, "eth0/xdp", &at).is_none(), "nothing begins to run so");
    at.occasion = Occasion::Continuation;
    assert!(keep(package(), &refused, "eth1/xdp", &at).is_none());
    let kept = keep(package(), &refused, "eth0/xdp", &at).unwrap();
    assert!(matches!(kept.assurance(), Assurance::Kept { why } if why.contains("is trusted here")));
    let mut memory = Memory::default();
    memory.remember(&kept);
    assert_eq!(memory, Memory::default(), "what is only kept teaches nothing");
}
