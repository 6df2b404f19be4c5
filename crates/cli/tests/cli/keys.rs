// SPDX-License-Identifier: Apache-2.0
//! `l3af key`: what files of keys are, who reads them, and what passphrases do.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

use crate::place::{Ended, Place, ended, refused};

fn place() -> Place {
    let place = Place::new();
    place.write("secret", "correct horse\n");
    place.write("other", "battery staple\n");
    place
}

fn key_new(place: &Place, rest: &str) -> Ended {
    let made = place.l3af(&format!("key new {rest}"));
    assert!(made.success, "{}", made.stderr);
    made
}

#[test]
fn a_key_is_secret_and_never_overwritten() {
    let place = place();
    let told = key_new(&place, "release.key --passphrase-file secret").stderr;
    insta::assert_snapshot!(told, @"
    `release.key` signs: keep it and its passphrase secret, keep a copy
    `release.key.pub` verifies: give it to those who shall trust you
    ");
    let mode = fs::metadata(place.path("release.key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let key = fs::read_to_string(place.path("release.key")).unwrap();
    assert!(key.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----"), "{key}");
    insta::assert_snapshot!(place.refusal("key new release.key"), @"
    error: cannot make `release.key`: there is one already
    hint: keys are never overwritten; choose another name
    ");
    assert_eq!(fs::read_to_string(place.path("release.key")).unwrap(), key);
    fs::remove_file(place.path("release.key")).unwrap();
    insta::assert_snapshot!(place.refusal("key new release.key --no-passphrase"), @"
    error: cannot make `release.key.pub`: File exists (os error 17)
    hint: keys are never overwritten; choose another name
    ");
    assert!(!place.path("release.key").exists(), "half a pair is left behind");
}

#[test]
fn a_key_is_encrypted_unless_somebody_says_otherwise() {
    let place = place();
    insta::assert_snapshot!(place.refusal("key new release.key"), @"
    error: there is no passphrase for `release.key`: this is no terminal, so nobody can be asked
    hint: give one by `--passphrase-file FILE` or in the environment variable `L3AF_PASSPHRASE`, or say `--no-passphrase` to leave the key unencrypted
    ");
    assert!(!place.path("release.key").exists() && !place.path("release.key.pub").exists());

    let open = key_new(&place, "open.key --no-passphrase");
    insta::assert_snapshot!(open.stderr, @"
    `open.key` signs: keep it secret, keep a copy
    `open.key.pub` verifies: give it to those who shall trust you
    ");
    let given =
        ended(place.command("key new given.key").env("L3AF_PASSPHRASE", "correct horse").output().unwrap());
    assert!(given.success, "{}", given.stderr);
    let kept = |line: &str| {
        let shown = place.l3af(line);
        assert!(shown.success, "{}", shown.stderr);
        shown.stdout.trim_end().rsplit_once("  ").unwrap().1.to_owned()
    };
    assert_eq!(kept("key show open.key"), "private, not encrypted");
    assert_eq!(kept("key show given.key --passphrase-file secret"), "private, encrypted");
    assert_eq!(kept("key show given.key.pub"), "public");
}

#[test]
fn every_algorithm_signs_what_its_public_part_verifies() {
    let place = Place::built();
    for (name, keys) in [("ed25519", 1), ("ecdsa", 1), ("rsa", 1), ("ml-dsa-65", 1), ("hybrid", 2)] {
        let made = key_new(&place, &format!("{name}.key --algorithm {name} --no-passphrase"));
        let ids: Vec<&str> = made.stdout.lines().collect();
        assert_eq!(ids.len(), keys);
        let shown: serde_json::Value =
            serde_json::from_str(&place.l3af(&format!("key show {name}.key --json")).stdout).unwrap();
        let shown: Vec<&str> =
            shown.as_array().unwrap().iter().map(|key| key["id"].as_str().unwrap()).collect();
        assert_eq!(shown, ids);
        let public = fs::read_to_string(place.path(&format!("{name}.key.pub"))).unwrap();
        assert_eq!(place.l3af(&format!("key public {name}.key")).stdout, public);
        assert_eq!(place.l3af(&format!("sign sanity.oci --key {name}.key")).stdout, made.stdout);
        let verified = place.l3af(&format!("verify sanity.oci --key {name}.key.pub"));
        assert!(verified.success, "{name}: {}", verified.stderr);
    }
}

#[test]
fn what_is_encrypted_openssl_reads_and_the_other_way_round() {
    let place = place();
    key_new(&place, "ours.key --passphrase-file secret --algorithm ecdsa");
    let read = place.run("openssl", &["pkey", "-in", "ours.key", "-passin", "file:secret", "-pubout"]);
    assert_eq!(read.stdout, fs::read_to_string(place.path("ours.key.pub")).unwrap(), "{}", read.stderr);

    let options = ["-algorithm", "ED25519", "-aes256", "-pass", "file:secret", "-out", "theirs.key"];
    assert!(place.run("openssl", &[&["genpkey"][..], &options].concat()).success);
    let public = place.run("openssl", &["pkey", "-in", "theirs.key", "-passin", "file:secret", "-pubout"]);
    assert_eq!(place.l3af("key public theirs.key --passphrase-file secret").stdout, public.stdout);
}

#[test]
fn without_its_passphrase_a_key_stays_closed() {
    let place = Place::built();
    place.write("secret", "correct horse");
    place.write("other", "battery staple");
    key_new(&place, "release.key --passphrase-file secret");
    insta::assert_snapshot!(place.refusal("sign sanity.oci --key release.key"), @"
    error: there is no passphrase for `release.key`: this is no terminal, so nobody can be asked
    hint: give it by `--passphrase-file FILE` or in the environment variable `L3AF_PASSPHRASE`
    ");
    insta::assert_snapshot!(place.refusal("sign sanity.oci --key release.key --passphrase-file other"), @"error: `release.key`: the passphrase does not open it, or it is damaged");
    insta::assert_snapshot!(place.refusal("sign sanity.oci --key release.key --passphrase-file none"), @"error: no passphrase in `none`: No such file or directory (os error 2)");
    assert!(place.l3af("sign sanity.oci --key release.key --passphrase-file secret").success);
    assert!(place.l3af("verify sanity.oci --key release.key.pub").success);
}

#[test]
fn a_passphrase_changes_and_the_key_stays() {
    let place = place();
    let id = key_new(&place, "release.key --passphrase-file secret").stdout;
    std::os::unix::fs::symlink("release.key", place.path("link.key")).unwrap();
    let change = |rest: &str| place.l3af(&format!("key change-passphrase link.key --passphrase-file {rest}"));
    let wrong = place.refusal("key change-passphrase release.key --passphrase-file other --no-passphrase");
    insta::assert_snapshot!(wrong, @"error: `release.key`: the passphrase does not open it, or it is damaged");
    insta::assert_snapshot!(refused(change("secret")), @"
    error: there is no passphrase for `link.key`: this is no terminal, so nobody can be asked
    hint: give the new one by `--new-passphrase-file FILE`, or say `--no-passphrase` to leave the key unencrypted
    ");

    let changed = change("secret --new-passphrase-file other");
    insta::assert_snapshot!(changed.stderr, @"`link.key` has another passphrase; copies of it are as they were");
    assert!(!place.l3af("key show release.key --passphrase-file secret").success);
    assert!(place.l3af("key show release.key --passphrase-file other").stdout.starts_with(id.trim_end()));

    insta::assert_snapshot!(change("other --no-passphrase").stderr, @"`link.key` is not encrypted any more; copies of it are as they were");
    assert!(place.l3af("key show release.key").stdout.starts_with(id.trim_end()));
    let mode = fs::metadata(place.path("release.key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(fs::symlink_metadata(place.path("link.key")).unwrap().is_symlink());
}

#[test]
fn a_passphrase_is_not_taken_from_the_command_line() {
    let refused = place().refusal("key new release.key --passphrase correct-horse");
    assert!(
        refused.contains("everybody on this machine sees it") && !refused.contains("correct-horse"),
        "{refused}"
    );
}

#[test]
fn what_is_no_key_is_told() {
    let place = place();
    insta::assert_snapshot!(place.refusal("key show secret"), @"
    error: `secret`: it is not PEM (`-----BEGIN ...-----`): a block does not end
    hint: `l3af key new FILE` makes a key
    ");
    insta::assert_snapshot!(place.refusal("key show none"), @"error: cannot read `none`: No such file or directory (os error 2)");
    insta::assert_snapshot!(place.refusal("key change-passphrase 1.pub --no-passphrase"), @"
    error: `1.pub`: it holds `PUBLIC KEY`, not a `PRIVATE KEY`
    hint: `l3af key new FILE` makes a key
    ");
    fs::File::create(place.path("large")).unwrap().set_len(1 << 20).unwrap();
    insta::assert_snapshot!(place.refusal("key show large"), @"error: cannot read `large`: it is too large for a key");
}

/// Runs a command in a terminal, where these lines are typed.
fn in_a_terminal(place: &Place, line: &str, typed: &str) -> (bool, String) {
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--command"]);
    script.arg(format!("{} {line}", env!("CARGO_BIN_EXE_l3af"))).arg("/dev/null");
    script.current_dir(place.folder.path()).env_remove("L3AF_PASSPHRASE");
    let mut script = script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    script.stdin.take().unwrap().write_all(typed.as_bytes()).unwrap();
    let ended = ended(script.wait_with_output().unwrap());
    (ended.success, ended.stdout)
}

#[test]
fn a_new_passphrase_is_asked_for_twice() {
    let place = place();
    let (done, shown) = in_a_terminal(&place, "key new slip.key", "correct horse\ncorrect house\n");
    assert!(!done && shown.contains("the two passphrases differ"), "{shown}");
    assert!(!place.path("slip.key").exists());

    let (done, shown) = in_a_terminal(&place, "key new release.key", "correct horse\ncorrect horse\n");
    assert!(done && shown.contains("New passphrase of `release.key`: "), "{shown}");
    assert!(place.l3af("key show release.key --passphrase-file secret").success);
    let (done, shown) = in_a_terminal(&place, "key show release.key", "correct horse\n");
    assert!(done && shown.contains("private, encrypted"), "{shown}");
}
