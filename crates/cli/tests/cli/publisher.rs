// SPDX-License-Identifier: Apache-2.0
//! `l3af publisher`: a root from its first version on, with keys in several hands.

use std::fs;

use trust::PrivateKey;

use crate::place::Place;

/// A folder with the keys of seeds 1 to 5.
pub(crate) fn place() -> Place {
    let place = Place::new();
    for seed in 3..=5 {
        let key = PrivateKey::from_seed([seed; 32]);
        fs::write(place.path(&format!("{seed}.key")), key.to_pem()).unwrap();
        fs::write(place.path(&format!("{seed}.pub")), key.public().to_pem()).unwrap();
    }
    place
}

pub(crate) fn id(seed: u8) -> String {
    PrivateKey::from_seed([seed; 32]).public().id().to_string()
}

/// What a command says, with `[3]` for the key of seed 3 and without what differs each time.
fn told(place: &Place, line: &str) -> String {
    let ended = place.l3af(line);
    assert!(ended.success, "{line}: {}", ended.stderr);
    readable(&format!("{}{}", ended.stderr, ended.stdout))
}

fn readable(text: &str) -> String {
    let mut text = (1..=5).fold(text.to_owned(), |text, seed| {
        text.replace(&id(seed), &format!("[{seed}]")).replace(&id(seed)[..16], &format!("[{seed}]"))
    });
    while let Some(at) = text.find("sha256:") {
        text.replace_range(at..at + 71, "DIGEST");
    }
    text
}

fn refused(place: &Place, line: &str) -> String {
    readable(&place.refusal(line))
}

/// Version 1: two of three sign roots.
const INIT: &str =
    "publisher init example --root 1.pub --root 2.pub --root 3.pub --root-threshold 2 --release 4.pub";

#[test]
fn keys_in_several_hands_make_a_root() {
    let place = place();
    insta::assert_snapshot!(told(&place, &format!("{INIT} --key 1.key")), @r"
    version 1 is a draft: `publisher/draft.root.json`
      1 of 2 signatures of version 1's keys; not yet: [2], [3]
    hint: who has one of these keys signs with `l3af publisher sign --key FILE`
    ");
    insta::assert_snapshot!(told(&place, "publisher sign --key 3.key"), @r"
    version 1 is complete: `publisher/1.root.json`
    DIGEST
    ");
    assert!(!place.path("publisher/draft.root.json").exists());
    insta::assert_snapshot!(refused(&place, "publisher sign --key 2.key"), @r"
    error: there is nothing to sign in `publisher`
    hint: `l3af publisher rotate` and its kin make a draft of the next version
    ");
    insta::assert_snapshot!(refused(&place, INIT), @r"
    error: there is a root in `publisher` already
    hint: `l3af publisher show` shows it, `rotate` and its kin make the next version; for another root choose another `--folder`
    ");
    let shown = told(&place, "publisher show");
    assert!(shown.starts_with("VERSION  EXPIRES               DIGEST\n1        20"), "{shown}");
    let digest = place.l3af("publisher show --json").stdout;
    let bytes = fs::read(place.path("publisher/1.root.json")).unwrap();
    assert!(digest.contains(&package::Digest::of(&bytes).to_string()), "{digest}");
    let (_, content) = shown.split_once("\n\n").unwrap();
    let lines = content.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    insta::assert_snapshot!(lines.collect::<Vec<_>>().join("\n"), @r"
    publisher `example`
    ROLE MUST SIGN KEY ALGORITHM CERTIFICATE
    root 2 of 3 [1] ed25519
    [2] ed25519
    [3] ed25519
    release 1 of 1 [4] ed25519
    ");
}

#[test]
fn a_lost_key_is_replaced_by_old_and_new_keys() {
    let place = place();
    told(&place, &format!("{INIT} --key 1.key --key 2.key"));
    let replaced = told(&place, &format!("publisher rotate --from {} --to 5.pub --key 2.key", &id(1)[..8]));
    insta::assert_snapshot!(replaced, @r"
    version 2 is a draft: `publisher/draft.root.json`
      1 of 2 signatures of version 1's keys; not yet: [1], [3]
      1 of 2 signatures of version 2's keys; not yet: [3], [5]
    hint: who has one of these keys signs with `l3af publisher sign --key FILE`
    ");
    // The new key speaks for the new version only, and the draft tells.
    insta::assert_snapshot!(told(&place, "publisher sign --key 5.key"), @r"
    version 2 is a draft: `publisher/draft.root.json`
      1 of 2 signatures of version 1's keys; not yet: [1], [3]
    hint: who has one of these keys signs with `l3af publisher sign --key FILE`
    ");
    insta::assert_snapshot!(refused(&place, "publisher sign --key 4.key"), @"error: the key [4] is none of the role `root`, neither of this version nor of the one before");
    let draft: serde_json::Value = serde_json::from_str(&place.l3af("publisher show --json").stdout).unwrap();
    assert_eq!(
        (&draft["draft"]["version"], &draft["draft"]["missing"][0]["version"]),
        (&2.into(), &1.into())
    );
    assert!(told(&place, "publisher sign --key 3.key").contains("version 2 is complete"));
    let shown = told(&place, "publisher show");
    assert!(!shown.contains("[1]") && shown.contains("[5]"), "{shown}");
}

#[test]
fn copies_of_a_draft_are_signed_apart_and_put_together() {
    let place = place();
    told(&place, INIT);
    for (folder, seed) in [("ada", 1), ("ben", 2)] {
        fs::create_dir(place.path(folder)).unwrap();
        fs::copy(place.path("publisher/draft.root.json"), place.path(folder).join("draft.root.json"))
            .unwrap();
        told(&place, &format!("publisher sign --folder {folder} --key {seed}.key"));
    }
    let told = told(&place, "publisher sign --from ada/draft.root.json --from ben/draft.root.json");
    insta::assert_snapshot!(told, @r"
    version 1 is complete: `publisher/1.root.json`
    DIGEST
    ");
    place.l3af("publisher rotate");
    insta::assert_snapshot!(refused(&place, "publisher sign --from ada/draft.root.json"), @r"
    error: `ada/draft.root.json` is version 1, and 2 is the next
    hint: when that version is complete, the draft is of no more use: remove it
    ");
}

#[test]
fn a_threshold_is_never_left_behind_in_silence() {
    let place = place();
    told(&place, &format!("{INIT} --key 1.key --key 2.key"));
    told(&place, &format!("publisher remove-key {} --key 1.key --key 2.key", &id(3)[..8]));
    let lowered = told(&place, &format!("publisher remove-key {} --key 1.key --key 2.key", &id(2)[..8]));
    assert!(lowered.starts_with("1 of the role `root` must sign from now on, in place of 2\n"), "{lowered}");
    insta::assert_snapshot!(refused(&place, "publisher rotate --threshold root=2"), @r"
    error: the role `root` cannot be used: there are 1 different signers, so the threshold must be 1 to 1, not 2
    hint: a role has at least as many signers as must sign; add a key first (`add-key`), or lower `--threshold`
    ");
    insta::assert_snapshot!(refused(&place, &format!("publisher remove-key {}", &id(1)[..8])), @r"
    error: the role `root` cannot be used: there are 0 different signers, so the threshold must be 1 to 0, not 1
    hint: a role has at least as many signers as must sign; add a key first (`add-key`), or lower `--threshold`
    ");
    insta::assert_snapshot!(refused(&place, "publisher remove-key zz"), @r"
    error: no key of the role `root` begins with `zz`
    hint: `l3af publisher show` lists the keys
    ");
    insta::assert_snapshot!(refused(&place, "publisher add-key 1.key --role root"), @r"
    error: `1.key`: it holds `PRIVATE KEY`, not `PUBLIC KEY`
    hint: a root has public keys: `l3af key new FILE` makes FILE.pub
    ");
    assert!(!place.path("publisher/draft.root.json").exists(), "what was refused has left a draft");
}

#[test]
fn a_change_of_a_draft_asks_for_all_signatures_again() {
    let place = place();
    told(&place, &format!("{INIT} --key 1.key --key 2.key"));
    told(&place, "publisher add-key 5.pub --role release --key 1.key");
    insta::assert_snapshot!(told(&place, "publisher rotate --threshold release=2"), @r"
    the draft changes, so everybody must sign it anew
    2 of the role `release` must sign from now on, in place of 1
    version 2 is a draft: `publisher/draft.root.json`
      0 of 2 signatures of version 1's keys; not yet: [1], [2], [3]
      0 of 2 signatures of version 2's keys; not yet: [1], [2], [3]
    hint: who has one of these keys signs with `l3af publisher sign --key FILE`
    ");
}

#[test]
fn a_folder_in_which_a_version_is_missing_or_changed_is_refused() {
    let place = place();
    insta::assert_snapshot!(refused(&place, "publisher show"), @r"
    error: cannot read `publisher`: No such file or directory (os error 2)
    hint: `l3af publisher init` makes one; `--folder` says where it is
    ");
    told(&place, &format!("{INIT} --key 1.key --key 2.key"));
    told(&place, "publisher rotate --expires-in-days 30 --key 1.key --key 2.key");
    let one = fs::read_to_string(place.path("publisher/1.root.json")).unwrap();
    fs::write(place.path("publisher/1.root.json"), one.replace("\"threshold\": 2", "\"threshold\": 1"))
        .unwrap();
    insta::assert_snapshot!(refused(&place, "publisher show"), @"error: `publisher/1.root.json` is refused: 0 of the signers that it names itself signed it, 1 must");
    fs::remove_file(place.path("publisher/1.root.json")).unwrap();
    insta::assert_snapshot!(refused(&place, "publisher show"), @r"
    error: `publisher/1.root.json` is missing
    hint: each version follows from the one before, so that all of them are kept
    ");
}

#[test]
fn the_commands_of_the_document_work() {
    let place = Place::new();
    for (seed, name) in [(1, "ada"), (2, "ben"), (3, "eve"), (4, "release"), (5, "new")] {
        let key = PrivateKey::from_seed([seed; 32]);
        fs::write(place.path(&format!("{name}.key")), key.to_pem()).unwrap();
        fs::write(place.path(&format!("{name}.key.pub")), key.public().to_pem()).unwrap();
    }
    let text = include_str!("../../../../docs/publisher-root.md").replace(" \\\n   ", "");
    let commands = |lines: &mut dyn Iterator<Item = &str>| -> Vec<String> {
        let lines = lines.filter_map(|line| line.split('#').next()?.trim().strip_prefix("l3af "));
        lines.filter(|line| !line.starts_with("key new ")).map(str::to_owned).collect()
    };
    let mut blocks = text.split("```text\n").skip(1).filter_map(|rest| rest.split("```").next());
    for command in commands(&mut blocks.next().unwrap().lines()) {
        told(&place, &command);
    }
    assert!(place.path("publisher/1.root.json").exists());
    // Two copies of a draft; the document shows how one of them is signed.
    told(&place, "publisher rotate");
    for folder in ["ada", "ben"] {
        fs::create_dir(place.path(folder)).unwrap();
        for file in ["1.root.json", "draft.root.json"] {
            fs::copy(place.path("publisher").join(file), place.path(folder).join(file)).unwrap();
        }
    }
    told(&place, "publisher sign --folder ben --key ben.key");
    for command in commands(&mut blocks.next().unwrap().lines()) {
        told(&place, &command);
    }
    assert!(place.path("publisher/2.root.json").exists());
    let rows = text.lines().filter_map(|line| line.strip_suffix("` |")?.split_once(" | `"));
    let rows: Vec<&str> = rows.map(|(_, command)| command).collect();
    assert_eq!(rows.len(), 5, "{rows:?}");
    for command in commands(&mut rows.into_iter()) {
        let lost = if command.contains("remove-key") { 5 } else { 3 };
        told(&place, &command.replace("74c181c7", &id(lost)[..8]));
        if place.path("publisher/draft.root.json").exists() {
            told(&place, "publisher sign --key ben.key");
        }
    }
    assert!(place.path("publisher/7.root.json").exists());
}

#[test]
fn roots_go_with_a_package_and_a_newer_one_revokes_a_key() {
    let place = Place::built();
    told(&place, "publisher init l3af --root 1.pub --release 1.pub --key 1.key");
    told(&place, "sign sanity.oci --key 1.key --roots publisher");
    let digest = package::Digest::of(&fs::read(place.path("publisher/1.root.json")).unwrap());
    let policy = format!("[[publisher]]\nname = \"l3af\"\npackages = [\"*\"]\nroot_digest = \"{digest}\"\n");
    fs::write(place.path("trust.toml"), policy).unwrap();
    let verify = "verify sanity.oci --policy trust.toml --platform linux/amd64";
    assert!(place.l3af(verify).stdout.contains(&id(1)));
    let from = &id(1)[..8];
    told(&place, &format!("publisher rotate --from {from} --to 2.pub --role release --key 1.key"));
    told(&place, "sign sanity.oci --key 2.key --roots publisher");
    let verified = place.l3af(verify);
    // The statement of the key that was rotated out holds no longer; that of the new one does.
    assert!(verified.success && verified.stdout.contains(&id(2)), "{}", verified.stderr);
    assert!(!verified.stdout.contains(&id(1)), "{}", verified.stdout);
}
