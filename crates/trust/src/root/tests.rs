// SPDX-License-Identifier: Apache-2.0
//! Roots that follow each other, and every way in which one does not.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{PrivateKey, Sign, Signer};

fn key(seed: u8) -> PrivateKey {
    PrivateKey::from_seed([seed; 32])
}

fn quantum(seed: u8) -> PrivateKey {
    PrivateKey::post_quantum_from_seed([seed; 32])
}

fn signer(seed: u8) -> Signer {
    key(seed).public().clone().into()
}

fn hybrid(seed: u8) -> Signer {
    Signer::of(vec![key(seed).public().clone(), quantum(seed).public().clone()]).unwrap()
}

fn expires() -> Timestamp {
    "2031-01-01T00:00:00Z".parse().unwrap()
}

fn first(root: &[Signer]) -> Draft {
    Draft::first(&"example".parse().unwrap(), expires(), root, &[signer(9)]).unwrap()
}

fn signed(mut draft: Draft, before: Option<&Root>, keys: &[&PrivateKey]) -> String {
    let keys: Vec<&dyn Sign> = keys.iter().map(|key| *key as &dyn Sign).collect();
    draft.sign(before, &keys).unwrap();
    draft.to_json()
}

fn root(seed: u8) -> Root {
    Root::pinned(signed(first(&[signer(seed)]), None, &[&key(seed)]).as_bytes()).unwrap()
}

/// The text with its signed part changed, signed anew by these keys whatever it says.
fn forged(text: &str, change: impl FnOnce(&mut Value), keys: &[&PrivateKey]) -> String {
    let mut value: Value = serde_json::from_str(text).unwrap();
    change(&mut value["signed"]);
    let message = crate::canonical::encode(&value["signed"]).unwrap();
    let sign = |key: &&PrivateKey| json!({"keyid": key.public().id(), "sig": crate::keys::hex(&key.sign(&message).unwrap())});
    value["signatures"] = keys.iter().map(sign).collect();
    value.to_string()
}

#[track_caller]
fn refused(result: Result<Root, BadRoot>) -> String {
    let words = result.unwrap_err().to_string();
    words.split(' ').map(|word| if word.len() > 60 { &word[..8] } else { word }).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_root_that_its_own_keys_signed_can_be_pinned() {
    let root = root(1);
    assert_eq!((root.version(), root.publisher().unwrap().as_ref()), (1, "example"));
    assert_eq!(root.quorum(Role::Release).signers(), [signer(9)]);
    let unsigned = first(&[signer(1)]).to_json();
    insta::assert_snapshot!(refused(Root::pinned(unsigned.as_bytes())), @"0 of the signers that it names itself signed it, 1 must");
}

#[test]
fn the_next_version_is_signed_by_the_old_and_the_new_keys() {
    let one = root(1);
    let next = || {
        let mut draft = Draft::after(&one, expires());
        draft.add(Role::Root, &signer(2)).unwrap();
        draft.remove(Role::Root, &key(1).public().id().to_string()).unwrap();
        draft
    };
    let both = signed(next(), Some(&one), &[&key(1), &key(2)]);
    let two = one.update(both.as_bytes()).unwrap();
    assert_eq!((two.version(), two.quorum(Role::Root).signers()), (2, &[signer(2)][..]));
    insta::assert_snapshot!(refused(one.update(signed(next(), Some(&one), &[&key(2)]).as_bytes())), @"0 of the signers that the version before names signed it, 1 must");
    insta::assert_snapshot!(refused(one.update(signed(next(), Some(&one), &[&key(1)]).as_bytes())), @"0 of the signers that it names itself signed it, 1 must");
    // What is missing is told while the draft is made.
    let missing = next().missing(Some(&one)).unwrap();
    assert_eq!(
        missing.iter().map(|missing| (missing.version, missing.valid)).collect::<Vec<_>>(),
        [(1, 0), (2, 0)]
    );
}

#[test]
fn versions_follow_each_other_and_never_go_back() {
    let one = root(1);
    let two = one.update(signed(Draft::after(&one, expires()), Some(&one), &[&key(1)]).as_bytes()).unwrap();
    let three = two.update(signed(Draft::after(&two, expires()), Some(&two), &[&key(1)]).as_bytes()).unwrap();
    insta::assert_snapshot!(refused(two.update(one.text().as_bytes())), @"it is version 1, and 3 is the next");
    insta::assert_snapshot!(refused(one.update(three.text().as_bytes())), @"it is version 3, and 2 is the next");
    let texts = [three.text(), "{", two.text(), one.text()].map(str::as_bytes);
    let walked = one.clone().walk(&texts);
    assert_eq!(walked.iter().map(Root::version).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(two.walk(&[one.text().as_bytes()]).len(), 1);
}

#[test]
fn no_version_follows_the_last_of_all_numbers() {
    let text = first(&[signer(1)]).to_json();
    let numbered = |version: u64| forged(&text, |signed| signed["version"] = json!(version), &[&key(1)]);
    let last = Root::pinned(numbered(u64::MAX).as_bytes()).unwrap();
    // Counting on would begin again at zero, and all that was ever signed could come back.
    assert!(refused(Root::pinned(numbered(0).as_bytes())).contains("expected a nonzero u64"));
    insta::assert_snapshot!(refused(last.update(numbered(1).as_bytes())), @"it is version 1, and 18446744073709551615 is the next");
    insta::assert_snapshot!(refused(last.update(last.text().as_bytes())), @"it is version 18446744073709551615, and 18446744073709551615 is the next");
    assert_eq!(Draft::after(&last, expires()).checked().unwrap().version(), u64::MAX);
}

#[test]
fn a_time_has_one_spelling() {
    let text = first(&[signer(1)]).to_json();
    for expires in
        ["2031-01-01T00:00:00.5Z", "2031-01-01T00:00:00+00:00", "2031-01-01 00:00:00Z", "2031-01-01"]
    {
        let odd = forged(&text, |signed| signed["expires"] = json!(expires), &[&key(1)]);
        assert!(refused(Root::pinned(odd.as_bytes())).contains(" is no time such as "), "{expires}");
    }
    let fraction = "2031-01-01T00:00:00.9Z".parse().unwrap();
    assert_eq!(Draft::after(&root(1), fraction).checked().unwrap().expires(), expires());
}

#[test]
fn a_key_that_is_folded_otherwise_has_another_name() {
    let text = first(&[signer(1)]).to_json();
    let public = PrivateKey::post_quantum_from_seed([1; 32]).public().to_pem().replace('\n', "\r\n");
    let folded = json!({"keytype": "ml-dsa", "scheme": "ml-dsa-65/1", "keyval": {"public": public}});
    let id = KeyId::of(&crate::canonical::encode(&folded).unwrap());
    let odd = forged(&text, |signed| signed["keys"][id.to_string()] = folded, &[&key(1)]);
    assert!(refused(Root::pinned(odd.as_bytes())).contains("has another name than its digest"));
}

#[test]
fn a_draft_gathers_what_others_signed_on_copies() {
    let one = root(1);
    let mut mine = Draft::after(&one, expires());
    mine.add(Role::Root, &signer(2)).unwrap();
    mine.set_threshold(Role::Root, 2).unwrap();
    let mut theirs = Draft::parse(mine.to_json().as_bytes()).unwrap();
    mine.sign(Some(&one), &[&key(1)]).unwrap();
    theirs.sign(Some(&one), &[&key(2)]).unwrap();
    assert_eq!(mine.missing(Some(&one)).unwrap()[0].of, [signer(2)]);
    mine.gather(&theirs).unwrap();
    assert_eq!(mine.missing(Some(&one)).unwrap(), []);
    assert_eq!(one.update(mine.to_json().as_bytes()).unwrap().version(), 2);
    let other = Draft::after(&one, expires());
    insta::assert_snapshot!(mine.gather(&other).unwrap_err(), @"it says something else than this draft, so its signatures are not for it");
}

#[test]
fn somebody_elses_root_does_not_follow() {
    let one = root(1);
    let other = root(2);
    let next = signed(Draft::after(&other, expires()), Some(&other), &[&key(2)]);
    insta::assert_snapshot!(refused(one.update(next.as_bytes())), @"0 of the signers that the version before names signed it, 1 must");
    let renamed = |signed: &mut Value| {
        signed["version"] = json!(2);
        signed["x-l3af"]["publisher"] = json!("other");
    };
    insta::assert_snapshot!(refused(one.update(forged(one.text(), renamed, &[&key(1)]).as_bytes())), @"it names another publisher than the version before");
}

#[test]
fn a_hybrid_is_one_signer_and_both_halves_sign() {
    let draft = || first(&[hybrid(1), hybrid(2)]);
    let whole = Root::pinned(signed(draft(), None, &[&key(1), &quantum(1)]).as_bytes()).unwrap();
    assert_eq!(whole.quorum(Role::Root).signers(), [hybrid(1), hybrid(2)]);
    insta::assert_snapshot!(refused(Root::pinned(signed(draft(), None, &[&key(1), &quantum(2)]).as_bytes())), @"0 of the signers that it names itself signed it, 1 must");
    let two = |keys: &[&PrivateKey]| {
        let mut draft = draft();
        draft.set_threshold(Role::Root, 2).unwrap();
        Root::pinned(signed(draft, None, keys).as_bytes())
    };
    assert!(two(&[&key(1), &quantum(1), &key(2), &quantum(2)]).is_ok());
    insta::assert_snapshot!(refused(two(&[&key(1), &quantum(1), &key(2)])), @"1 of the signers that it names itself signed it, 2 must");
    let half = |signed: &mut Value| {
        let keys = signed["roles"]["root"]["keyids"].as_array_mut().unwrap();
        keys.retain(|id| *id != json!(quantum(2).public().id()));
    };
    let text = signed(draft(), None, &[&key(1), &quantum(1)]);
    insta::assert_snapshot!(refused(Root::pinned(forged(&text, half, &[&key(1), &quantum(1)]).as_bytes())), @"the role `root` has the key c3f860ca without the other one of its hybrid");
}

#[test]
fn one_key_signs_once() {
    let text = first(&[signer(1), signer(2)]).to_json();
    let both = forged(&text, |signed| signed["roles"]["root"]["threshold"] = json!(2), &[&key(1), &key(1)]);
    insta::assert_snapshot!(refused(Root::pinned(both.as_bytes())), @"the key 7ab6b86c signed it twice");
    assert!(Draft::parse(both.as_bytes()).is_err());
}

#[test]
fn one_key_is_there_once() {
    let text = signed(first(&[signer(1)]), None, &[&key(1)]);
    let id = key(1).public().id().to_string();
    // The same key under a name of its own.
    let aliased = |signed: &mut Value| {
        signed["keys"]["00"] = signed["keys"][&id].clone();
        signed["roles"]["root"] = json!({"keyids": [id, "00"], "threshold": 2});
    };
    insta::assert_snapshot!(refused(Root::pinned(forged(&text, aliased, &[&key(1)]).as_bytes())), @"it is no `root.json` of TUF: `00` is not the name of a key: it must be 64 lower-case hexadecimal digits");
    // The same key, written with other letters, and so under another digest.
    let shouted = |signed: &mut Value| {
        let mut form = signed["keys"][&id].clone();
        form["keyval"]["public"] = json!(form["keyval"]["public"].as_str().unwrap().to_uppercase());
        let other = crate::KeyId::of(&crate::canonical::encode(&form).unwrap());
        signed["keys"][other.to_string()] = form;
        signed["roles"]["root"] = json!({"keyids": [id, other], "threshold": 2});
    };
    insta::assert_snapshot!(refused(Root::pinned(forged(&text, shouted, &[&key(1)]).as_bytes())), @"the key ed2639eb has another name than its digest, 7ab6b86c it could be there twice");
    let twice = |signed: &mut Value| signed["roles"]["root"]["keyids"] = json!([id, id]);
    insta::assert_snapshot!(refused(Root::pinned(forged(&text, twice, &[&key(1)]).as_bytes())), @"the role `root` cannot be used: the key 7ab6b86c is there twice");
}

#[test]
fn what_is_no_root_is_refused() {
    let text = signed(first(&[signer(1)]), None, &[&key(1)]);
    let refusal =
        |change: &dyn Fn(&mut Value)| refused(Root::pinned(forged(&text, change, &[&key(1)]).as_bytes()));
    insta::assert_snapshot!(refusal(&|signed| signed["_type"] = json!("targets")), @"it is metadata of the type `targets`, not `root`");
    insta::assert_snapshot!(refusal(&|signed| signed["spec_version"] = json!("2.0")), @"it is of the specification 2.0, and only those of 1.x are known");
    insta::assert_snapshot!(refusal(&|signed| drop(signed["roles"].as_object_mut().unwrap().remove("targets"))), @"it has no role `targets`");
    insta::assert_snapshot!(refusal(&|signed| signed["roles"]["root"]["threshold"] = json!(0)), @"the role `root` cannot be used: there are 1 different signers, so the threshold must be 1 to 1, not 0");
    insta::assert_snapshot!(refusal(&|signed| signed["x-l3af"]["more"] = json!(1)), @"it is no `root.json` of TUF: unknown field `more`, expected one of `publisher`, `hybrid`, `certificates`");
    insta::assert_snapshot!(refusal(&|signed| signed["expires"] = json!("soon")), @r#"it is no `root.json` of TUF: "soon" is no time such as `2030-01-31T00:00:00Z`"#);
    insta::assert_snapshot!(refused(Root::pinned(text.replace("\"version\": 1", "\"version\": 1.5").as_bytes())), @"it is no `root.json` of TUF: invalid type: floating point `1.5`, expected a nonzero u64");
    insta::assert_snapshot!(refused(Root::pinned(text.replace("\"version\": 1,", "\"version\": 1, \"version\": 1,").as_bytes())), @"it is no root: it is not JSON, or means several things: the key `version` comes twice at line 55 column 27");
    // What TUF may add some day is kept.
    assert!(Root::pinned(forged(&text, |signed| signed["more"] = json!(1), &[&key(1)]).as_bytes()).is_ok());
    // A key of an algorithm that we do not know counts for nothing, and is in nobody's way.
    let unknown = |signed: &mut Value| {
        let form = json!({"keytype": "new", "scheme": "new", "keyval": {"public": "x"}});
        let id = crate::KeyId::of(&crate::canonical::encode(&form).unwrap());
        signed["keys"][id.to_string()] = form;
        signed["roles"]["root"]["keyids"].as_array_mut().unwrap().push(json!(id));
    };
    assert!(Root::pinned(forged(&text, unknown, &[&key(1)]).as_bytes()).is_ok());
}

#[test]
fn a_draft_stays_a_root() {
    let mut draft = first(&[signer(1)]);
    let before = draft.clone();
    insta::assert_snapshot!(draft.remove(Role::Root, "ffff").unwrap_err(), @"no key of the role `root` begins with `ffff`");
    insta::assert_snapshot!(draft.remove(Role::Root, "").unwrap_err(), @"the role `root` cannot be used: there are 0 different signers, so the threshold must be 1 to 0, not 1");
    insta::assert_snapshot!(draft.set_threshold(Role::Release, 2).unwrap_err(), @"the role `targets` cannot be used: there are 1 different signers, so the threshold must be 1 to 1, not 2");
    assert!(draft.add(Role::Root, &signer(1)).is_err());
    assert!(draft.sign(None, &[&key(5)]).is_err());
    assert_eq!(draft, before);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is changed, the next version follows with both thresholds, and not without one of them.
    #[test]
    fn whatever_changes_both_thresholds_sign(
        edits in prop::collection::vec((any::<bool>(), 1..6_u8, 1..4_usize), 1..5),
        left_out in any::<prop::sample::Index>(),
    ) {
        let one = root(1);
        let mut draft = Draft::after(&one, expires());
        for (adds, seed, threshold) in edits {
            // An edit that cannot be leaves the draft as it was.
            drop(if adds { draft.add(Role::Root, &signer(seed)) } else {
                draft.remove(Role::Root, &key(seed).public().id().to_string()).map(drop)
            });
            drop(draft.set_threshold(Role::Root, threshold));
        }
        let next = draft.checked().unwrap();
        let mut keys: Vec<PrivateKey> = (1..6).map(key).collect();
        keys.retain(|key| {
            let signer = Signer::from(key.public().clone());
            one.quorum(Role::Root).signers().contains(&signer) || next.quorum(Role::Root).signers().contains(&signer)
        });
        let all: Vec<&PrivateKey> = keys.iter().collect();
        let text = signed(draft.clone(), Some(&one), &all);
        prop_assert!(one.update(text.as_bytes()).is_ok());
        let without = left_out.index(all.len());
        let fewer: Vec<&PrivateKey> = all.iter().enumerate().filter(|(at, _)| *at != without).map(|(_, key)| *key).collect();
        let text = signed(draft, Some(&one), &fewer);
        let enough = |root: &Root| {
            let signers = root.quorum(Role::Root).signers();
            let count = fewer.iter().filter(|key| signers.contains(&Signer::from(key.public().clone()))).count();
            count >= root.quorum(Role::Root).threshold()
        };
        prop_assert_eq!(one.update(text.as_bytes()).is_ok(), enough(&one) && enough(&next));
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes: Vec<u8>) {
        drop(Root::pinned(&bytes));
        drop(Draft::parse(&bytes));
    }
}
