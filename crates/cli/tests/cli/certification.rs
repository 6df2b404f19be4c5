// SPDX-License-Identifier: Apache-2.0
//! `l3af publisher certify`: a root, whatever its algorithms, that a certificate of an organisation certifies.

use std::fs;

use crate::place::Place;

/// A package of `l3af`, whose root has a hybrid key, and a certificate for key 1 with these extensions.
fn place(extensions: &[&str]) -> Place {
    let place = Place::built();
    for line in [
        "key new root.key --algorithm hybrid --no-passphrase",
        "publisher init l3af --root root.key.pub --release root.key.pub --key root.key",
    ] {
        let ended = place.l3af(line);
        assert!(ended.success, "{line}: {}", ended.stderr);
    }
    let words = "req -x509 -new -key 1.key -subj /CN=organisation -days 30 -out 1.pem -addext extendedKeyUsage=codeSigning";
    let mut words: Vec<&str> = words.split(' ').collect();
    words.extend(extensions.iter().flat_map(|extension| ["-addext", extension]));
    let ended = place.run("openssl", &words);
    assert!(ended.success, "{}", ended.stderr);
    let root = package::Digest::of(&fs::read(place.path("publisher/1.root.json")).unwrap());
    place.write(
        "trust.toml",
        format!(
            "[[publisher]]\nname = \"l3af\"\npackages = [\"*\"]\nroot_digest = \"{root}\"\n\
             authority_files = [\"1.pem\"]\npen = 32473\n"
        ),
    );
    place
}

const ARC: &str = "certificatePolicies=1.3.6.1.4.1.32473.1";
const CERTIFY: &str = "publisher certify publisher/1.root.json --certificates 1.pem";
const VERIFY: &str = "verify sanity.oci --policy trust.toml --platform linux/amd64";

#[test]
fn a_certified_root_proves_the_number_of_what_is_signed_under_it() {
    let place = place(&[ARC]);
    let sign = "sign sanity.oci --key root.key --roots publisher --pen 32473";
    assert!(place.l3af(sign).success);
    let refused = place.refusal(VERIFY);
    assert!(refused.contains("no certificate came with the key"), "{refused}");
    let certified = place.l3af(&format!("{CERTIFY} --key 1.key"));
    assert!(certified.success, "{}", certified.stderr);
    assert_eq!(certified.stdout, "32473\n");
    let told = "the certificate of `CN=organisation` has identifiers below 1.3.6.1.4.1.32473\n\
                version 1 of `l3af` is certified for 1.3.6.1.4.1.32473 by `CN=organisation` until ";
    assert!(certified.stderr.starts_with(told), "{}", certified.stderr);
    let shown = place.l3af("publisher show").stdout;
    let line =
        "`publisher/1.root.certification.json`: version 1, 1.3.6.1.4.1.32473 by `CN=organisation` until ";
    assert!(shown.contains(line), "{shown}");
    assert!(place.l3af("publisher show --json").stdout.contains("\"pen\": 32473"));
    // The package was signed before: what is attached is enough.
    assert!(place.l3af("publisher attach sanity.oci").success);
    let explained = place.l3af(&format!("{VERIFY} --explain"));
    assert!(explained.success, "{}", explained.stderr);
    for told in ["passed  certification ", "1.3.6.1.4.1.32473, by a certification of the root"] {
        assert!(explained.stdout.contains(told), "{told}: {}", explained.stdout);
    }
    // The version that follows is theirs as well.
    assert!(place.l3af("publisher rotate --key root.key").success);
    assert!(place.l3af(sign).success && place.l3af(VERIFY).success);
}

#[test]
fn what_no_machine_would_accept_is_not_made() {
    let place = place(&[]);
    insta::assert_snapshot!(place.refusal(&format!("{CERTIFY} --key 1.key")), @r"
    the certificate of `CN=organisation` has identifiers below no organisation's number
    error: the certificate proves no Private Enterprise Number
    hint: it needs a certificate policy or an extended key usage below 1.3.6.1.4.1.NUMBER; ask its authority
    ");
    insta::assert_snapshot!(place.refusal(&format!("{CERTIFY} --key 1.key --pen 32473")), @"
    the certificate of `CN=organisation` has identifiers below no organisation's number
    error: the certificate of `CN=organisation` has no policy or purpose below 1.3.6.1.4.1.32473
    ");
    insta::assert_snapshot!(place.refusal(&format!("{CERTIFY} --key 2.key --pen 32473")), @r"
    the certificate of `CN=organisation` has identifiers below no organisation's number
    error: the certificate of `CN=organisation` is for another key
    hint: it is for the key 7ab6b86cb2c9684b0ddc10896153aa2595decf4d4327a5ff1a8ab7422c828b12
    ");
    insta::assert_snapshot!(place.refusal(&format!("{CERTIFY} --key 1.key --pen 1 --publisher other")), @"error: `publisher/1.root.json` is the root of `l3af`, not of `other`");
    assert!(!place.path("publisher/1.root.certification.json").exists());
}
