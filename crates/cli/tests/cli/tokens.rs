// SPDX-License-Identifier: Apache-2.0
//! Keys on tokens (PKCS#11), with `SoftHSM` as the token. Its folder is the test's own.

use std::process::Command;

use crate::place::{Ended, Place, ended, refused};

const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";

/// A place with a token `release key` in it, whose PIN is in the file `pin`.
struct Token(Place);

impl Token {
    fn new(place: Place) -> Self {
        let token = Self(place);
        std::fs::create_dir(token.0.path("tokens")).unwrap();
        token
            .0
            .write("softhsm.conf", format!("directories.tokendir = {}\n", token.0.path("tokens").display()));
        token.0.write("pin", "271828\n");
        let made = token.softhsm(&["--init-token", "--free", "--label", "release key", "--so-pin", "314159"]);
        assert!(made.success, "{}", made.stderr);
        token
    }

    fn softhsm(&self, arguments: &[&str]) -> Ended {
        let mut command = Command::new("softhsm2-util");
        command.args(arguments).args(["--pin", "271828"]).current_dir(self.0.folder.path());
        ended(command.env("SOFTHSM2_CONF", self.0.path("softhsm.conf")).output().unwrap())
    }

    /// Puts a new key on the token and leaves only its public part in a file.
    fn import(&self, name: &str, id: &str) {
        assert!(self.0.l3af(&format!("key new {name} --algorithm {name} --no-passphrase")).success);
        let (token, label) = (["--token", "release key"], ["--label", name, "--id", id]);
        let imported = self.softhsm(&[&["--import", name][..], &token, &label].concat());
        assert!(imported.success, "{}{}", imported.stdout, imported.stderr);
        std::fs::remove_file(self.0.path(name)).unwrap();
    }

    fn l3af(&self, words: &[&str]) -> Ended {
        let mut command = self.0.words(words);
        ended(command.env("SOFTHSM2_CONF", self.0.path("softhsm.conf")).output().unwrap())
    }

    fn refusal(&self, key: &str, rest: &[&str]) -> String {
        refused(self.l3af(&[&["key", "show", key][..], rest].concat()))
    }
}

fn uri(rest: &str) -> String {
    format!("pkcs11:token=release%20key;{rest}?module-path={MODULE}&pin-source=pin")
}

#[test]
fn a_token_signs_with_every_algorithm_that_it_has() {
    let token = Token::new(Place::built());
    for (name, id) in [("ecdsa", "01"), ("rsa", "02"), ("ed25519", "03")] {
        token.import(name, id);
        let key = uri(&format!("object={name};type=private"));
        let shown = token.l3af(&["key", "show", &key]);
        let public = token.0.l3af(&format!("key show {name}.pub")).stdout;
        // The key is the same key, wherever it is.
        assert_eq!(shown.stdout, public.replace("  public", "  on a token"), "{}", shown.stderr);
        let signed = token.l3af(&["sign", "sanity.oci", "--key", &key]);
        assert!(signed.success, "{name}: {}", signed.stderr);
        let verified = token.0.l3af(&format!("verify sanity.oci --key {name}.pub"));
        assert!(verified.success, "{name}: {}", verified.stderr);
    }
    let [first, second] = ["id=%01", "id=%02"].map(uri);
    let signed = token.l3af(&["sign", "sanity.oci", "--key", &first, "--key", &second, "--key", "1.key"]);
    assert_eq!(signed.stdout.lines().count(), 3, "{}", signed.stderr);
}

#[test]
fn the_pin_comes_from_where_passphrases_do() {
    let token = Token::new(Place::new());
    token.import("ecdsa", "01");
    let key = format!("pkcs11:object=ecdsa?module-path={MODULE}");
    insta::assert_snapshot!(token.refusal(&key, &[]), @"
    error: there is no passphrase for the token `release key`: this is no terminal, so nobody can be asked
    hint: give it by `--passphrase-file FILE` or in the environment variable `L3AF_PASSPHRASE`
    ");
    assert!(token.l3af(&["key", "show", &key, "--passphrase-file", "pin"]).success);
    token.0.write("wrong", "161803");
    insta::assert_snapshot!(token.refusal(&key, &["--passphrase-file", "wrong"]), @"
    error: the PIN does not open the token `release key`
    hint: after a few wrong ones a token locks itself
    ");
    let given = format!("{key}&pin-value=271828");
    let told = token.refusal(&given, &[]);
    assert!(told.contains("a PIN does not belong on a command line") && !told.contains("271828"), "{told}");
}

#[test]
fn a_key_that_is_not_found_or_not_alone_is_told() {
    let token = Token::new(Place::new());
    token.import("ecdsa", "01");
    insta::assert_snapshot!(token.refusal(&uri("object=other"), &[]), @"
    error: there is no private key pkcs11:token=release%20key;object=other
    hint: `pkcs11-tool --module MODULE --login --list-objects` shows the keys of a token
    ");
    let elsewhere = format!("pkcs11:token=other;object=ecdsa?module-path={MODULE}");
    insta::assert_snapshot!(token.refusal(&elsewhere, &[]), @"
    error: no token fits pkcs11:token=other;object=ecdsa; there is `release key`
    hint: is it plugged in?
    ");
    insta::assert_snapshot!(token.refusal("pkcs11:object=ecdsa", &[]), @"error: the `pkcs11:` URI cannot be used: it names no library: give `?module-path=/path/to/module.so`, as the maker of the token says");
    let nothing = "pkcs11:object=ecdsa?module-path=./nothing.so";
    let told = token.refusal(nothing, &[]);
    assert!(told.starts_with("error: cannot load `./nothing.so`"), "{told}");

    token.0.l3af("key new again --algorithm ecdsa --no-passphrase");
    let again = ["--import", "again", "--token", "release key", "--label", "ecdsa", "--id", "02"];
    assert!(token.softhsm(&again).success);
    insta::assert_snapshot!(token.refusal(&uri("object=ecdsa"), &[]), @"
    error: 2 private keys fit pkcs11:token=release%20key;object=ecdsa
    hint: tell them apart by `id`
    ");
    assert!(token.l3af(&["key", "show", &uri("object=ecdsa;id=%02")]).success);
}

#[test]
fn a_key_without_its_public_part_is_told() {
    let token = Token::new(Place::new());
    token.0.l3af("key new lone --algorithm ecdsa --no-passphrase");
    let lone =
        ["--import", "lone", "--token", "release key", "--label", "lone", "--id", "07", "--no-public-key"];
    assert!(token.softhsm(&lone).success);
    insta::assert_snapshot!(token.refusal(&uri("object=lone"), &[]), @"
    error: the token has no public key with the id of pkcs11:token=release%20key;object=lone
    hint: write it to the token beside the private one, as `pkcs11-tool --write-object` does
    ");
}
