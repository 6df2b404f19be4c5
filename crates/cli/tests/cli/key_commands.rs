// SPDX-License-Identifier: Apache-2.0
//! Keys behind commands, with OpenSSL as the service that has the key.

use std::fs;

use crate::place::{Ended, Place, ended, refused};

/// Signs what is on stdin with the key in the file `$1`; what follows are options of `openssl dgst`.
const DGST: &str = "key=$1; shift; exec openssl dgst -sha256 -sign \"$key\" \"$@\"";
/// Ed25519 takes the whole message, which OpenSSL 3.0 reads from files only.
const PKEYUTL: &str = "cat > message; exec openssl pkeyutl -sign -rawin -inkey \"$1\" -in message";

fn service() -> Place {
    let place = Place::built();
    place.write("dgst.sh", DGST);
    place.write("pkeyutl.sh", PKEYUTL);
    for (name, options) in [
        ("ec", &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"][..]),
        ("rsa", &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]),
        ("ed", &["-algorithm", "ED25519"]),
    ] {
        let (secret, public) = (format!("{name}.secret"), format!("{name}.pub"));
        assert!(place.run("openssl", &[&["genpkey", "-out", &secret][..], options].concat()).success);
        assert!(place.run("openssl", &["pkey", "-in", &secret, "-pubout", "-out", &public]).success);
    }
    place
}

fn sign(place: &Place, key: &str) -> Ended {
    ended(place.words(&["sign", "sanity.oci", "--key", key]).output().unwrap())
}

#[test]
fn a_command_signs_with_every_algorithm_that_openssl_has() {
    let place = service();
    for (public, key) in [
        ("ec.pub", "command:ec.pub sh dgst.sh ec.secret"),
        (
            "rsa.pub",
            "command:rsa.pub sh dgst.sh rsa.secret -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:digest",
        ),
        ("ed.pub", "command:ed.pub sh pkeyutl.sh ed.secret"),
    ] {
        let signed = sign(&place, key);
        assert!(signed.success, "{public}: {}", signed.stderr);
        let shown = ended(place.words(&["key", "show", key]).output().unwrap()).stdout;
        assert!(
            shown.starts_with(signed.stdout.trim_end()) && shown.ends_with("  behind a command\n"),
            "{shown}"
        );
        let verified = place.l3af(&format!("verify sanity.oci --key {public}"));
        assert!(verified.success, "{public}: {}", verified.stderr);
    }
}

#[test]
fn a_command_that_lies_signs_nothing() {
    let place = service();
    assert!(place.run("openssl", &["genpkey", "-algorithm", "ED25519", "-out", "another.secret"]).success);
    let before = fs::read(place.path("sanity.oci/index.json")).unwrap();
    let told = |key: &str| refused(sign(&place, key));
    let without_id = |key: &str| {
        let hex = |word: &&str| word.len() == 64 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
        told(key).split(' ').filter(|word| !hex(word)).collect::<Vec<_>>().join(" ")
    };
    insta::assert_snapshot!(without_id("command:ed.pub sh pkeyutl.sh another.secret"), @"
    error: the key does not sign
      because what came back is no signature of the key over what was to be signed
    ");
    insta::assert_snapshot!(without_id("command:rsa.pub sh dgst.sh rsa.secret"), @"
    error: the key does not sign
      because what came back is no signature of the key over what was to be signed
    ");
    insta::assert_snapshot!(without_id("command:ed.pub echo garbage"), @"
    error: the key does not sign
      because what came back is no signature of the key over what was to be signed
    ");
    insta::assert_snapshot!(without_id("command:ed.pub sh -c exit"), @"
    error: the key does not sign
      because what came back is no signature of the key over what was to be signed
    ");
    insta::assert_snapshot!(told("command:ed.pub sh pkeyutl.sh none.secret"), @"
    error: the key does not sign
      because `sh` ended with exit status: 1 and said `pkeyutl: Error initializing context`
    ");
    assert_eq!(fs::read(place.path("sanity.oci/index.json")).unwrap(), before);
}

#[test]
fn a_command_is_named_in_full() {
    let place = service();
    let told = |key: &str| refused(sign(&place, key));
    insta::assert_snapshot!(told("command:ed.pub"), @"error: a command is `command:PUBLIC PROGRAM ARGUMENT...`: the file of the public key, then what to run");
    insta::assert_snapshot!(told("command:none.pub true"), @"error: cannot read `none.pub`: No such file or directory (os error 2)");
    place.write(
        "two.pub",
        [fs::read(place.path("ed.pub")).unwrap(), fs::read(place.path("ec.pub")).unwrap()].concat(),
    );
    insta::assert_snapshot!(told("command:two.pub true"), @"
    error: `two.pub` does not hold one public key
    hint: a command signs with one key: `command:PUBLIC PROGRAM ARGUMENT...`
    ");
    insta::assert_snapshot!(told("command:ed.pub ./none"), @"
    error: the key does not sign
      because `./none` cannot be run
      because No such file or directory (os error 2)
    ");
}

#[test]
fn a_command_does_not_get_the_passphrase_of_other_keys() {
    let place = service();
    place.write("leak.sh", "env >environment; exec sh pkeyutl.sh ed.secret");
    let mut signing = place.words(&["sign", "sanity.oci", "--key", "command:ed.pub sh leak.sh"]);
    let signed = ended(signing.env("L3AF_PASSPHRASE", "correct horse").output().unwrap());
    assert!(signed.success, "{}", signed.stderr);
    let environment = fs::read_to_string(place.path("environment")).unwrap();
    assert!(environment.contains("PATH=") && !environment.contains("correct horse"), "{environment}");
}
