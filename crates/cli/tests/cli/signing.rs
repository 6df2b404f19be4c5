// SPDX-License-Identifier: Apache-2.0
//! Keys, signatures, and what is refused for want of them.

use std::fs;

use crate::place::Place;

#[test]
fn what_was_signed_verifies() {
    let place = Place::built();
    assert!(place.l3af("sign sanity.oci --key 1.key").success);
    let verified = place.l3af("verify sanity.oci --key 1.pub");
    assert!(verified.success, "{}", verified.stderr);
    let key = place.l3af("key show 1.pub").stdout;
    let id = key.split(' ').next().unwrap();
    assert!(verified.stdout.contains("signed by `l3af`"), "{}", verified.stdout);
    assert!(verified.stdout.contains(id), "{}", verified.stdout);
    assert!(place.l3af("verify sanity.oci --key 1.pub --platform linux/arm64").success);
    let shown = place.l3af("inspect sanity.oci --json").stdout;
    assert!(shown.contains(id), "{shown}");
}

#[test]
fn a_verification_explains_each_rule() {
    let place = Place::built();
    assert!(place.l3af("sign sanity.oci --key 1.key").success);
    let explained = place.l3af("verify sanity.oci --key 1.pub --platform linux/amd64 --explain").stdout;
    let rules: Vec<&str> = explained.lines().filter_map(|line| line.split("  ").next()).collect();
    assert!(rules.iter().any(|line| line.starts_with("passed")), "{explained}");
    assert!(
        explained.contains("skipped expiry             no time: the statement does not expire"),
        "{explained}"
    );
    let refused = place.l3af("verify sanity.oci --key 2.pub --platform linux/amd64 --json");
    assert!(!refused.success);
    let told: serde_json::Value = serde_json::from_str(&refused.stdout).unwrap();
    assert_eq!(told["trusted"], false);
    let last = told["rulings"].as_array().unwrap().last().unwrap();
    assert_eq!((&last["rule"], &last["outcome"]), (&"signatures".into(), &"failed".into()), "{last}");
}

#[test]
fn an_endorsement_stands_beside_the_statement() {
    let place = Place::built();
    assert!(place.l3af("sign sanity.oci --key 1.key").success);
    let endorsed = place.l3af("endorse sanity.oci --key 2.key --expires-in-days 30");
    assert!(endorsed.success, "{}", endorsed.stderr);
    assert!(place.l3af("verify sanity.oci --key 1.pub").success);
    // Who endorses does not publish.
    let refusal = place.refusal("verify sanity.oci --key 2.pub");
    assert!(refusal.contains("a statement of type `https://l3af.io/endorsement/v1`"), "{refusal}");
}

#[test]
fn what_nobody_signed_is_refused() {
    insta::assert_snapshot!(Place::built().refusal("verify sanity.oci --key 1.pub"), @r"
    error: package `sanity` is not signed
    hint: its publisher signs it with `l3af sign`; ask them for the signed package
    ");
}

#[test]
fn what_somebody_else_signed_is_refused() {
    let place = Place::built();
    assert!(place.l3af("sign sanity.oci --key 2.key").success);
    insta::assert_snapshot!(place.refusal("verify sanity.oci --key 1.pub"), @r"
    error: no statement about package `sanity` holds: 0 of the trusted signers signed it, 1 must; it names the keys c3f860ca5da4454d
    hint: compare the keys of the policy with those that `l3af inspect` shows; `l3af verify --explain` tells each rule
    ");
}

#[test]
fn a_platform_that_the_package_is_not_for_is_refused() {
    insta::assert_snapshot!(Place::built().refusal("verify sanity.oci --key 1.pub --platform linux/riscv64"), @r"
    error: package `sanity` is not built for linux/riscv64
    hint: add a `[[platform]]` for linux/riscv64 to its `package.toml` and build it again
    ");
}

#[test]
fn a_statement_that_expired_is_refused() {
    let place = Place::built();
    assert!(place.l3af("sign sanity.oci --key 1.key --expires-in-days 0").success);
    let refusal = place.refusal("verify sanity.oci --key 1.pub");
    assert!(refusal.contains("it expired at "), "{refusal}");
}

#[test]
fn the_policy_says_whose_packages_are_accepted() {
    let place = Place::built();
    assert!(place.l3af("sign sanity.oci --key 1.key").success);
    let verify = |policy: &str| {
        fs::write(place.path("trust.toml"), policy).unwrap();
        place.l3af("verify sanity.oci --policy trust.toml")
    };
    let told = |policy: &str| {
        let ended = verify(policy);
        assert!(!ended.success, "{}", ended.stdout);
        ended.stderr
    };
    let publisher = |packages: &str| {
        format!("[[publisher]]\nname = \"l3af\"\npackages = [\"{packages}\"]\nkey_files = [\"1.pub\"]")
    };
    assert!(verify(&publisher("*")).success);
    insta::assert_snapshot!(told(&publisher("rate*")), @r"
    error: publisher `l3af` is not trusted for package `sanity`
    hint: if you trust them for it, add `sanity` to their `packages` in the policy
    ");
    insta::assert_snapshot!(told(""), @r"
    error: nobody named `l3af` is trusted here
    hint: if you trust them, add a `[[publisher]]` named `l3af` with their key to the policy
    ");
    insta::assert_snapshot!(told(&publisher("*").replace("1.pub", "3.pub")), @r"
    error: the policy `trust.toml` cannot be used: `3.pub`: No such file or directory (os error 2)
    hint: `--policy` names a policy, `--key` a single key to trust
    ");
    insta::assert_snapshot!(place.refusal("verify sanity.oci --policy none.toml"), @r"
    error: the policy `none.toml` cannot be used: No such file or directory (os error 2)
    hint: `--policy` names a policy, `--key` a single key to trust
    ");
}

#[test]
fn a_policy_that_verifies_nothing_does_not_make_a_package_verified() {
    let place = Place::built();
    fs::write(place.path("trust.toml"), "mode = \"normal\"").unwrap();
    insta::assert_snapshot!(place.refusal("verify sanity.oci --policy trust.toml"), @r"
    error: nothing was verified: the mode of `trust.toml` is `normal`
    hint: name a policy with `--policy` whose mode is `trusted`, or a key with `--key`
    ");
}

#[test]
fn a_package_that_was_changed_after_signing_is_refused() {
    let place = Place::built();
    assert!(place.l3af("sign sanity.oci --key 1.key").success);
    for entry in fs::read_dir(place.path("sanity.oci/blobs/sha256")).unwrap().map(Result::unwrap) {
        let mut bytes = fs::read(entry.path()).unwrap();
        if bytes.starts_with(&[0x1f, 0x8b]) {
            *bytes.last_mut().unwrap() ^= 1;
            fs::write(entry.path(), bytes).unwrap();
        }
    }
    let refusal = place.refusal("verify sanity.oci --key 1.pub");
    assert!(refusal.contains("has other bytes: their digest is sha256:"), "{refusal}");
}
