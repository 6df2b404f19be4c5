// SPDX-License-Identifier: Apache-2.0
//! Publishers whose keys a root names: pinned, rotated, expired, endorsed.

use super::{NOW, found, key};
use crate::certificate::forge::{Body, policies};
use crate::verify::*;
use crate::{
    Chain, Draft, Endorsed, Endorsement, Envelope, PAYLOAD_TYPE, Pen, PolicyDocument, PrivateKey, Release,
    Review, ReviewDecision, Role, Root, RootCertification, Sign, Signer, Statement, Terms, pem,
};

const EXPIRES: &str = "2031-01-01T00:00:00Z";

fn signer(seed: u8) -> Signer {
    key(seed).public().clone().into()
}

/// The first root of a publisher: key 1 signs roots, key 2 releases.
fn first(publisher: &str) -> Root {
    let draft =
        Draft::first(&publisher.parse().unwrap(), EXPIRES.parse().unwrap(), &[signer(1)], &[signer(2)]);
    finished(draft.unwrap(), None)
}

/// The next version, in which key 3 signs releases in place of key 2.
fn rotated(root: &Root) -> Root {
    let mut draft = Draft::after(root, "2040-01-01T00:00:00Z".parse().unwrap());
    draft.add(Role::Release, &signer(3)).unwrap();
    draft.remove(Role::Release, &key(2).public().id().to_string()).unwrap();
    finished(draft, Some(root))
}

fn finished(mut draft: Draft, before: Option<&Root>) -> Root {
    draft.sign(before, &[&key(1)]).unwrap();
    let text = draft.to_json();
    before.map_or_else(|| Root::pinned(text.as_bytes()), |before| before.update(text.as_bytes())).unwrap()
}

fn policy(text: &str, files: &[(&str, String)]) -> Policy {
    let files = files.iter().map(|(path, text)| ((*path).to_owned(), text.clone())).collect();
    PolicyDocument::parse(text).unwrap().resolve(&files).unwrap()
}

fn pinning(root: &Root) -> Policy {
    let text = "[[publisher]]\nname = \"example\"\npackages = [\"*\"]\nroot_file = \"root.json\"";
    policy(text, &[("root.json", root.text().to_owned())])
}

fn release(by: &PrivateKey) -> Vec<u8> {
    let terms = Terms::from("2029-06-01T00:00:00Z".parse().unwrap());
    let statement: Statement<Release> = Statement::about_object(&found(), None, terms);
    sealed(statement.to_json(), by)
}

fn endorsement(publisher: &str, root: &Root, by: &PrivateKey) -> Vec<u8> {
    let (root, packages) = (root.digest(), vec![package::Glob::all()]);
    let endorsement = Endorsement {
        publisher: publisher.parse().unwrap(),
        endorses: Endorsed::Publisher { root, packages },
        created: "2029-06-01T00:00:00Z".parse().unwrap(),
        expires: None,
    };
    sealed(Statement::from(endorsement).to_json(), by)
}

fn sealed(payload: Vec<u8>, by: &PrivateKey) -> Vec<u8> {
    Envelope::sign(PAYLOAD_TYPE, payload, &[by as &dyn Sign]).unwrap().to_json()
}

fn evidence(envelopes: Vec<Vec<u8>>, roots: &[&Root]) -> Evidence {
    let roots = roots.iter().map(|root| root.text().as_bytes().to_vec()).collect();
    Evidence { envelopes, roots, fetched_from: None }
}

fn judged(policy: &Policy, evidence: &Evidence, memory: &Memory) -> Result<Assurance, Refused> {
    let machine = Platform::new("linux", "amd64").unwrap();
    judge(&found(), evidence, &Circumstances::deployment(policy, &machine, memory, NOW.parse().unwrap()))
        .outcome
}

#[track_caller]
fn refused(policy: &Policy, evidence: &Evidence) -> String {
    let words = judged(policy, evidence, &Memory::default()).unwrap_err().to_string();
    words.split(' ').map(|word| if word.len() > 60 { "<digest>" } else { word }).collect::<Vec<_>>().join(" ")
}

#[test]
fn the_keys_of_the_pinned_root_sign_releases() {
    let root = first("example");
    let policy = pinning(&root);
    assert!(judged(&policy, &evidence(vec![release(&key(2))], &[]), &Memory::default()).is_ok());
    // Those who sign roots do not sign releases.
    insta::assert_snapshot!(refused(&policy, &evidence(vec![release(&key(1))], &[])), @"no statement about package `small` holds: 0 of the trusted signers signed it, 1 must; it names the keys 7ab6b86cb2c9684b");
}

#[test]
fn an_approving_review_endorses_the_release_and_others_do_not() {
    let text = "[[publisher]]\nname = \"example\"\npackages = [\"*\"]\nroot_file = \"root.json\"\n\
                [[endorser]]\nname = \"reviewer\"\npackages = [\"*\"]\nuntil = \"2031-01-01T00:00:00Z\"\n\
                key_files = [\"reviewer.pub\"]\n[[repository]]\nurl = \"hub.example.org\"\npublic = true\n";
    let (root, reviewer) = (first("example"), key(7));
    let files = [("root.json", root.text().to_owned()), ("reviewer.pub", reviewer.public().to_pem())];
    let policy = policy(text, &files);
    let with = |decision| {
        let found = found();
        let digest = *found.subjects().next().unwrap();
        let Found { publisher, package, version, .. } = found;
        let created = "2029-06-01T00:00:00Z".parse().unwrap();
        let review =
            Review { publisher, package, version, release: digest, decision, text: String::new(), created };
        let review = sealed(Statement::from(review).to_json(), &reviewer);
        let fetched_from = Some("hub.example.org/example/small:1.0.0".to_owned());
        let evidence = Evidence { fetched_from, ..evidence(vec![release(&key(2)), review], &[]) };
        judged(&policy, &evidence, &Memory::default())
    };
    assert!(with(ReviewDecision::Approve).is_ok());
    for decision in [ReviewDecision::Reject, ReviewDecision::Changes] {
        assert!(matches!(with(decision), Err(Refused::NotEndorsed { .. })));
    }
}

#[test]
fn a_newer_root_that_came_along_revokes_a_key() {
    let root = first("example");
    let (policy, newer) = (pinning(&root), rotated(&root));
    assert!(judged(&policy, &evidence(vec![release(&key(3))], &[&newer]), &Memory::default()).is_ok());
    insta::assert_snapshot!(refused(&policy, &evidence(vec![release(&key(2))], &[&newer])), @"no statement about package `small` holds: 0 of the trusted signers signed it, 1 must; it names the keys c3f860ca5da4454d");
    // Whoever leaves the newer one out gains nothing where it was seen before.
    let seen = judged(&policy, &evidence(vec![release(&key(3))], &[&newer]), &Memory::default()).unwrap();
    let Assurance::Signed { roots, .. } = seen else { panic!("it was signed") };
    let memory: Memory = serde_json::from_value(serde_json::json!({"roots": {"example": roots}})).unwrap();
    assert!(judged(&policy, &evidence(vec![release(&key(2))], &[]), &Memory::default()).is_ok());
    assert!(judged(&policy, &evidence(vec![release(&key(2))], &[]), &memory).is_err());
    assert!(judged(&policy, &evidence(vec![release(&key(3))], &[]), &memory).is_ok());
}

#[test]
fn a_root_that_was_found_goes_for_packages_that_it_did_not_come_with() {
    let root = first("example");
    let (policy, newer) = (pinning(&root), rotated(&root));
    let by_digest =
        format!("[[publisher]]\nname = \"example\"\npackages = [\"*\"]\nroot_digest = \"{}\"", root.digest());
    let by_digest = self::policy(&by_digest, &[]);
    let texts = |roots: &[&Root]| evidence(Vec::new(), roots).roots;
    for (policy, roots) in [(&policy, texts(&[&newer])), (&by_digest, texts(&[&newer, &root]))] {
        let mut memory = Memory::default();
        memory.learn(policy, &roots);
        assert!(judged(policy, &evidence(vec![release(&key(2))], &[&root]), &memory).is_err());
        assert!(judged(policy, &evidence(vec![release(&key(3))], &[&root]), &memory).is_ok());
        // Less than that takes nothing back.
        memory.learn(policy, &texts(&[&root]));
        memory.learn(&Policy::default(), &texts(&[&root]));
        assert!(judged(policy, &evidence(vec![release(&key(2))], &[&root]), &memory).is_err());
    }
    // Nobody else's root, and none that does not follow, teaches anything.
    for (policy, roots) in
        [(&policy, texts(&[&rotated(&first("somebody"))])), (&Policy::default(), texts(&[&newer]))]
    {
        let mut memory = Memory::default();
        memory.learn(policy, &roots);
        assert!(judged(&pinning(&root), &evidence(vec![release(&key(2))], &[]), &memory).is_ok());
    }
}

#[test]
fn an_older_root_does_not_take_the_place_of_the_pinned_one() {
    let root = first("example");
    let newer = rotated(&root);
    insta::assert_snapshot!(refused(&pinning(&newer), &evidence(vec![release(&key(2))], &[&root])), @"no statement about package `small` holds: 0 of the trusted signers signed it, 1 must; it names the keys c3f860ca5da4454d");
}

#[test]
fn a_root_that_expired_accepts_nothing_new() {
    let root = first("example");
    let (policy, evidence) = (pinning(&root), evidence(vec![release(&key(2))], &[]));
    let (machine, memory) = (Platform::new("linux", "amd64").unwrap(), Memory::default());
    let at = Circumstances::deployment(&policy, &machine, &memory, EXPIRES.parse().unwrap());
    insta::assert_snapshot!(judge(&found(), &evidence, &at).outcome.unwrap_err(), @"the root of `example` is refused: version 1 expired at 2031-01-01T00:00:00Z");
    let at = Circumstances { occasion: Occasion::Continuation, ..at };
    assert!(judge(&found(), &evidence, &at).outcome.is_ok());
}

#[test]
fn a_root_that_is_pinned_by_its_digest_comes_along() {
    let root = first("example");
    let text =
        format!("[[publisher]]\nname = \"example\"\npackages = [\"*\"]\nroot_digest = \"{}\"", root.digest());
    let policy = policy(&text, &[]);
    assert!(judged(&policy, &evidence(vec![release(&key(2))], &[&root]), &Memory::default()).is_ok());
    insta::assert_snapshot!(refused(&policy, &evidence(vec![release(&key(2))], &[])), @"the root <digest> of `example`, which is pinned, did not come with it");
}

#[test]
fn a_root_of_somebody_else_is_refused() {
    let other = first("other");
    let text = format!(
        "[[publisher]]\nname = \"example\"\npackages = [\"*\"]\nroot_digest = \"{}\"",
        other.digest()
    );
    insta::assert_snapshot!(refused(&policy(&text, &[]), &evidence(vec![release(&key(2))], &[&other])), @"the root of `example` is refused: it is the root of `other`");
}

#[test]
fn a_number_is_proven_by_certificates_of_keys_or_by_a_certification_of_the_root() {
    let authority =
        pem::encode("CERTIFICATE", &Body::authority("CN=a", key(9).public(), "CN=a", None).sign(&key(9)));
    let chain = |holder: u8| {
        let mut body = Body::signer(key(holder).public(), "CN=a");
        body.extensions.push(policies(&["1.3.6.1.4.1.32473.1"]));
        Chain::from_pem(&pem::encode("CERTIFICATE", &body.sign(&key(9)))).unwrap()
    };
    let root = |release: Signer| {
        let (publisher, expires) = ("example".parse().unwrap(), EXPIRES.parse().unwrap());
        finished(Draft::first(&publisher, expires, &[signer(1)], &[release]).unwrap(), None)
    };
    let certification = |root: &Root, by: u8| {
        let created = "2029-06-01T00:00:00Z".parse().unwrap();
        let (publisher, pen) = ("example".parse().unwrap(), Pen::try_from(32473).unwrap());
        let stated = RootCertification { publisher, pen, root: root.digest(), created, expires: None };
        stated.sign(&key(by), chain(8)).unwrap().to_json()
    };
    let claiming = || {
        let pen = Some(Pen::try_from(32473).unwrap());
        let terms = Terms { pen, ..Terms::from("2029-06-01T00:00:00Z".parse().unwrap()) };
        sealed(Statement::<Release>::about_object(&found(), None, terms).to_json(), &key(2))
    };
    let accepted = |demand: &str, root: &Root, certified_by: u8| {
        let text = "[[publisher]]\nname = \"example\"\npackages = [\"*\"]\nroot_file = \"root\"\nauthority_files = [\"ca\"]\n";
        let policy =
            policy(&[text, demand].concat(), &[("root", root.text().to_owned()), ("ca", authority.clone())]);
        let came = evidence(vec![claiming(), certification(root, certified_by)], &[]);
        judged(&policy, &came, &Memory::default()).is_ok()
    };
    let (bare, with_certificate) = (root(signer(2)), root(signer(2).with_chain(chain(2))));
    assert!(accepted("pen = 32473", &bare, 8));
    assert!(
        accepted("pen = 32473", &with_certificate, 7),
        "the certification is forged, the certificate is not"
    );
    assert!(!accepted("pen = 32473", &bare, 7));
    // Without a number it says nothing of whose the root is, and each signer must be known to an authority.
    assert!(!accepted("", &bare, 8));
    assert!(accepted("", &with_certificate, 8));
}

#[test]
fn an_endorser_speaks_for_a_publisher_for_one_level() {
    let root = first("example");
    let text = "[[endorser]]\nname = \"committee\"\npackages = [\"*\"]\nuntil = \"2031-01-01T00:00:00Z\"\nkey_files = \
                [\"key\"]";
    let policy = policy(text, &[("key", key(7).public().to_pem())]);
    let both = evidence(vec![endorsement("example", &root, &key(7)), release(&key(2))], &[&root]);
    let accepted = judged(&policy, &both, &Memory::default()).unwrap();
    assert!(
        matches!(accepted, Assurance::Signed { endorser: Some(name), .. } if name.as_ref() == "committee")
    );
    // By somebody whom the policy does not name, of another root, of another publisher.
    insta::assert_snapshot!(refused(&policy, &evidence(vec![endorsement("example", &root, &key(8)), release(&key(2))], &[&root])), @"nobody named `example` is trusted here");
    insta::assert_snapshot!(refused(&policy, &evidence(vec![endorsement("example", &first("other"), &key(7)), release(&key(2))], &[&root])), @"the root <digest> of `example`, which is pinned, did not come with it");
    insta::assert_snapshot!(refused(&policy, &evidence(vec![endorsement("other", &root, &key(7)), release(&key(2))], &[&root])), @"nobody named `example` is trusted here");
    // The committee endorses `other`, whose release key endorses `example`.
    let chain = vec![
        endorsement("other", &first("other"), &key(7)),
        endorsement("example", &root, &key(2)),
        release(&key(2)),
    ];
    insta::assert_snapshot!(refused(&policy, &evidence(chain, &[&root, &first("other")])), @"nobody named `example` is trusted here");
}
