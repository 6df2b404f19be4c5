// SPDX-License-Identifier: Apache-2.0
//! Chains that hold, and every way in which one does not.

use aws_lc_rs::signature::{ML_DSA_65_SIGNING, PqdsaKeyPair};
use x509_cert::ext::pkix::KeyUsages;

use super::forge::{Body, constraints, extension, policies, purposes, usage};
use super::*;
use crate::{Pen, PrivateKey, PublicKey};

const ROOT: &str = "CN=root";
const MIDDLE: &str = "CN=middle";
const NOW: &str = "2030-01-01T00:00:00Z";

fn key(seed: u8) -> PrivateKey {
    PrivateKey::from_seed([seed; 32])
}

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

/// A chain of three, to be changed before it is signed: a signer, an authority, a root.
struct Case {
    signer: Body,
    middle: Body,
    root: Body,
}

impl Case {
    fn new() -> Self {
        Self {
            signer: Body::signer(key(1).public(), MIDDLE),
            middle: Body::authority(MIDDLE, key(2).public(), ROOT, Some(0)),
            root: Body::authority(ROOT, key(3).public(), ROOT, None),
        }
    }

    fn with(change: impl FnOnce(&mut Self)) -> Self {
        let mut case = Self::new();
        change(&mut case);
        case
    }

    fn chain(&self) -> Result<Chain, BadCertificate> {
        let certificates = [self.signer.sign(&key(2)), self.middle.sign(&key(3))];
        Chain::from_pem(&certificates.map(|der| pem::encode(LABEL, &der)).concat())
    }

    fn anchor(&self) -> Result<Certificate, BadCertificate> {
        Certificate::from_der(&self.root.sign(&key(3)))
    }

    fn check(&self) -> Result<Certified, BadCertificate> {
        self.chain()?.check(key(1).public(), &[self.anchor()?], now())
    }
}

#[track_caller]
fn refused(change: impl FnOnce(&mut Case)) -> String {
    Case::with(change).check().unwrap_err().to_string()
}

/// What was said, with the names of keys cut.
fn short(error: &BadCertificate) -> String {
    let cut = |word: &str| if word.len() > 60 { word[..8].to_owned() } else { word.to_owned() };
    error.to_string().split(' ').map(cut).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_chain_to_a_trusted_authority_holds() {
    let certified = Case::new().check().unwrap();
    assert_eq!(certified.subject(), "CN=signer,O=example");
    assert_eq!(certified.authority(), "CN=root");
    assert_eq!(certified.until(), "2031-01-01T00:00:00Z".parse().unwrap());
}

#[test]
fn a_chain_may_hold_its_anchor_or_end_below_it() {
    let case = Case::new();
    let (middle, root) = (case.middle.sign(&key(3)), case.root.sign(&key(3)));
    let [middle, root] = [middle, root].map(|der| Certificate::from_der(&der).unwrap());
    let signer = Certificate::from_der(&case.signer.sign(&key(2))).unwrap();
    let check = |chain: &[&Certificate], anchor: &Certificate| {
        let text: String = chain.iter().map(|certificate| certificate.to_pem()).collect();
        Chain::from_pem(&text).unwrap().check(key(1).public(), std::slice::from_ref(anchor), now())
    };
    for (chain, anchor) in [
        (&[&signer, &middle][..], &root),
        (&[&signer, &middle, &root], &root),
        (&[&signer, &middle, &root], &middle),
        (&[&signer], &middle),
        (&[&signer, &middle], &signer),
    ] {
        assert_eq!(check(chain, anchor).unwrap().authority(), anchor.subject());
    }
    assert!(matches!(check(&[&signer], &root), Err(BadCertificate::Foreign { .. })));
    assert!(matches!(check(&[&signer, &root], &root), Err(BadCertificate::Order { .. })));
}

#[test]
fn an_empty_policy_knows_no_authority() {
    let refused = Case::new().chain().unwrap().check(key(1).public(), &[], now()).unwrap_err();
    insta::assert_snapshot!(refused, @"the chain ends with the certificate of `CN=middle`, which no authority of the policy issued");
}

#[test]
fn a_foreign_authority_vouches_for_nobody() {
    let other = Body::authority("CN=other", key(9).public(), "CN=other", None).sign(&key(9));
    let same_name = Body::authority(ROOT, key(9).public(), ROOT, None).sign(&key(9));
    let [other, same_name] = [other, same_name].map(|der| Certificate::from_der(&der).unwrap());
    let chain = Case::new().chain().unwrap();
    let check = |anchors: &[Certificate]| chain.check(key(1).public(), anchors, now());
    let refused = |anchors: &[Certificate]| check(anchors).unwrap_err().to_string();
    insta::assert_snapshot!(refused(std::slice::from_ref(&other)), @"the chain ends with the certificate of `CN=middle`, which no authority of the policy issued");
    insta::assert_snapshot!(refused(std::slice::from_ref(&same_name)), @"`CN=root` did not sign the certificate of `CN=middle`");
    assert!(check(&[other, same_name, Case::new().anchor().unwrap()]).is_ok());
}

#[test]
fn a_certificate_is_for_one_key() {
    let case = Case::new();
    let refused = case.chain().unwrap().check(key(4).public(), &[case.anchor().unwrap()], now());
    insta::assert_snapshot!(short(&refused.unwrap_err()), @"the certificate of `CN=signer,O=example` is for the key 7ab6b86c not for 3336b222");
}

#[test]
fn a_certificate_is_for_signing_code() {
    insta::assert_snapshot!(refused(|case| case.signer.extensions[1] = purposes(&["1.3.6.1.5.5.7.3.1"])), @"the certificate of `CN=signer,O=example` is not for code signing (`codeSigning` of its extended key usage)");
    // `anyExtendedKeyUsage` says that nobody was asked.
    insta::assert_snapshot!(refused(|case| case.signer.extensions[1] = purposes(&["2.5.29.37.0"])), @"the certificate of `CN=signer,O=example` is not for code signing (`codeSigning` of its extended key usage)");
    insta::assert_snapshot!(refused(|case| case.signer.extensions.truncate(1)), @"the certificate of `CN=signer,O=example` is not for code signing (`codeSigning` of its extended key usage)");
    insta::assert_snapshot!(refused(|case| case.signer.extensions[0] = usage(KeyUsages::KeyAgreement)), @"the key of `CN=signer,O=example` may not sign (`digitalSignature` of its key usage)");
    let without_usage = Case::with(|case| drop(case.signer.extensions.remove(0)));
    assert!(without_usage.check().is_ok());
}

#[test]
fn a_chain_holds_in_the_time_of_all_its_certificates() {
    insta::assert_snapshot!(refused(|case| case.signer.not_after = "2029-12-31T23:59:59Z"), @"the certificate of `CN=signer,O=example` expired at 2029-12-31T23:59:59Z");
    insta::assert_snapshot!(refused(|case| case.middle.not_after = "2029-12-31T23:59:59Z"), @"the certificate of `CN=middle` expired at 2029-12-31T23:59:59Z");
    insta::assert_snapshot!(refused(|case| case.root.not_after = "2029-12-31T23:59:59Z"), @"the certificate of `CN=root` expired at 2029-12-31T23:59:59Z");
    insta::assert_snapshot!(refused(|case| case.signer.not_before = "2030-01-01T00:00:01Z"), @"the certificate of `CN=signer,O=example` holds from 2030-01-01T00:00:01Z on only");
    insta::assert_snapshot!(refused(|case| case.middle.not_before = "2030-01-01T00:00:01Z"), @"the certificate of `CN=middle` holds from 2030-01-01T00:00:01Z on only");
    let to_the_second = Case::with(|case| (case.signer.not_before, case.middle.not_after) = (NOW, NOW));
    assert_eq!(to_the_second.check().unwrap().until(), now());
}

#[test]
fn a_signature_that_is_broken_is_noticed() {
    let case = Case::new();
    let mut signer = case.signer.sign(&key(2));
    *signer.last_mut().unwrap() ^= 1;
    let texts = [signer, case.middle.sign(&key(3))].map(|der| pem::encode(LABEL, &der));
    let chain = Chain::from_pem(&texts.concat()).unwrap();
    let refused = chain.check(key(1).public(), &[case.anchor().unwrap()], now()).unwrap_err();
    insta::assert_snapshot!(refused, @"`CN=middle` did not sign the certificate of `CN=signer,O=example`");
    let by_another =
        [case.signer.sign(&key(9)), case.middle.sign(&key(3))].map(|der| pem::encode(LABEL, &der));
    let chain = Chain::from_pem(&by_another.concat()).unwrap();
    assert_eq!(chain.check(key(1).public(), &[case.anchor().unwrap()], now()).unwrap_err(), refused);
}

#[test]
fn only_authorities_issue_certificates() {
    insta::assert_snapshot!(refused(|case| case.middle.extensions[0] = constraints(false, None)), @"`CN=middle` is no authority (`cA` of its basic constraints), and may issue nothing");
    insta::assert_snapshot!(refused(|case| drop(case.middle.extensions.remove(0))), @"`CN=middle` is no authority (`cA` of its basic constraints), and may issue nothing");
    insta::assert_snapshot!(refused(|case| case.middle.extensions[1] = usage(KeyUsages::DigitalSignature)), @"the key of `CN=middle` may not sign certificates (`keyCertSign` of its key usage)");
    insta::assert_snapshot!(refused(|case| case.middle.extensions.push(purposes(&["1.3.6.1.5.5.7.3.1"]))), @"the certificate of `CN=middle` is not for code signing (`codeSigning` of its extended key usage)");
    insta::assert_snapshot!(refused(|case| drop(case.root.extensions.remove(0))), @"`CN=root` is no authority (`cA` of its basic constraints), and may issue nothing");
    let limited = Case::with(|case| case.middle.extensions.push(purposes(&["2.5.29.37.0"])));
    assert!(limited.check().is_ok());
}

#[test]
fn an_authority_has_no_more_authorities_below_it_than_it_may() {
    insta::assert_snapshot!(refused(|case| case.root.extensions[0] = constraints(true, Some(0))), @"there are 1 authorities below `CN=root`, and there may be 0");
    assert!(Case::with(|case| case.root.extensions[0] = constraints(true, Some(1))).check().is_ok());
}

#[test]
fn each_certificate_was_issued_by_the_next() {
    insta::assert_snapshot!(refused(|case| case.signer.issuer = "CN=elsewhere"), @"the certificate of `CN=signer,O=example` was issued by `CN=elsewhere`, and the next one is that of `CN=middle`");
}

#[test]
fn a_critical_extension_that_is_not_understood_is_refused() {
    // Constraints on names: RFC 5280, section 4.2.1.10.
    let constrained = extension("2.5.29.30", true, &Vec::<u8>::new());
    insta::assert_snapshot!(refused(|case| case.middle.extensions.push(constrained.clone())), @"the certificate of `CN=middle` has the critical extension 2.5.29.30, which is not understood here");
    let unknown = |critical| extension("1.3.6.1.4.1.32473.9", critical, &7_u8);
    insta::assert_snapshot!(refused(|case| case.signer.extensions.push(unknown(true))), @"the certificate of `CN=signer,O=example` has the critical extension 1.3.6.1.4.1.32473.9, which is not understood here");
    assert!(Case::with(|case| case.signer.extensions.push(unknown(false))).check().is_ok());
    insta::assert_snapshot!(refused(|case| case.signer.extensions.push(purposes(&["1.3.6.1.5.5.7.3.3"]))), @"the certificate of `CN=signer,O=example` has the extension 2.5.29.37 twice");
}

#[test]
fn a_number_that_is_claimed_must_be_in_the_certificate() {
    let pen = Pen::try_from(32473).unwrap();
    let demand = |change: fn(&mut Case)| Case::with(change).check().unwrap().demand(pen);
    let refused = |change: fn(&mut Case)| demand(change).unwrap_err().to_string();
    assert!(demand(|case| case.signer.extensions.push(policies(&["1.3.6.1.4.1.32473.1.2"]))).is_ok());
    assert!(
        demand(|case| {
            case.signer.extensions[1] = purposes(&["1.3.6.1.5.5.7.3.3", "1.3.6.1.4.1.32473.7"]);
        })
        .is_ok()
    );
    insta::assert_snapshot!(refused(|_| {}), @"the certificate of `CN=signer,O=example` has no policy or purpose below 1.3.6.1.4.1.32473");
    insta::assert_snapshot!(refused(|case| case.signer.extensions.push(policies(&["1.3.6.1.4.1.324731.1"]))), @"the certificate of `CN=signer,O=example` has no policy or purpose below 1.3.6.1.4.1.32473, but below 1.3.6.1.4.1.324731");
    insta::assert_snapshot!(refused(|case| case.signer.extensions.push(policies(&["1.3.6.1.4.1.32473"]))), @"the certificate of `CN=signer,O=example` has no policy or purpose below 1.3.6.1.4.1.32473");
    // What an authority is named after is not what it vouches for.
    insta::assert_snapshot!(refused(|case| case.middle.extensions.push(policies(&["1.3.6.1.4.1.32473.1"]))), @"the certificate of `CN=signer,O=example` has no policy or purpose below 1.3.6.1.4.1.32473");
}

#[test]
fn texts_that_hold_no_chain_are_told_apart() {
    let told = |text: &str| Chain::from_pem(text).unwrap_err().to_string();
    let one = pem::encode(LABEL, &Case::new().signer.sign(&key(2)));
    insta::assert_snapshot!(told(""), @"it holds 0 certificates, and must hold 1 to 6");
    insta::assert_snapshot!(told(&one.repeat(7)), @"it holds 7 certificates, and must hold 1 to 6");
    insta::assert_snapshot!(told(&key(1).public().to_pem()), @"it holds `PUBLIC KEY`, not `CERTIFICATE`");
    insta::assert_snapshot!(told(&pem::encode(LABEL, b"x")), @"its bytes are not those of a certificate (X.509 in DER)");
    insta::assert_snapshot!(told("x"), @"it is not PEM (`-----BEGIN ...-----`): a block does not end");
    let trailing = [Case::new().signer.sign(&key(2)), vec![0]].concat();
    assert!(matches!(Certificate::from_der(&trailing), Err(BadCertificate::Der(_))));
}

/// A chain, the key that it is for, and its root.
macro_rules! files {
    ($name:literal) => {
        (
            include_str!(concat!("../../testdata/certificates/", $name, ".pem")),
            include_str!(concat!("../../testdata/certificates/", $name, ".pub")),
            include_str!(concat!("../../testdata/certificates/", $name, "-root.pem")),
        )
    };
}

#[test]
fn what_openssl_issued_is_read_and_checked() {
    // Made by `testdata/certificates/make.sh`.
    for (chain, key, root) in [files!("pss"), files!("ecdsa"), files!("rsa")] {
        let chain = Chain::from_pem(chain).unwrap();
        let anchors = Certificate::all_from_pem(root).unwrap();
        let at = chain.signer().not_before;
        let certified = chain.check(&PublicKey::from_pem(key).unwrap(), &anchors, at).unwrap();
        certified.demand(Pen::try_from(32473).unwrap()).unwrap();
        assert_eq!((certified.subject(), certified.authority()), ("O=example,CN=signer", "CN=root"));
    }
}

#[test]
fn certificates_of_a_post_quantum_authority_are_checked() {
    let pair = PqdsaKeyPair::from_seed(&ML_DSA_65_SIGNING, &[5; 32]).unwrap();
    let sign = |body: &[u8]| {
        let mut signature = vec![0; ML_DSA_65_SIGNING.signature_len()];
        pair.sign(body, &mut signature).map(|_| signature).unwrap()
    };
    let authority = PrivateKey::post_quantum_from_seed([5; 32]);
    let root = Body::authority(ROOT, authority.public(), ROOT, None).sign_as("2.16.840.1.101.3.4.3.18", sign);
    let signer = Body::signer(key(1).public(), ROOT).sign_as("2.16.840.1.101.3.4.3.18", sign);
    let chain = Chain::from_pem(&pem::encode(LABEL, &signer)).unwrap();
    assert!(chain.check(key(1).public(), &[Certificate::from_der(&root).unwrap()], now()).is_ok());
}

#[test]
fn an_algorithm_that_is_not_supported_is_named() {
    // ecdsa-with-SHA1.
    let signer = Body::signer(key(1).public(), ROOT).sign_as("1.2.840.10045.4.1", |_| vec![0; 64]);
    let chain = Chain::from_pem(&pem::encode(LABEL, &signer)).unwrap();
    let refused = chain.check(key(1).public(), &[Case::new().anchor().unwrap()], now()).unwrap_err();
    insta::assert_snapshot!(refused, @"the certificate of `CN=signer,O=example` is signed with 1.2.840.10045.4.1, which is not supported");
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes: Vec<u8>, text: String) {
        drop(Certificate::from_der(&bytes));
        drop(Chain::from_pem(&text));
    }

    #[test]
    fn no_damaged_certificate_holds(at: proptest::sample::Index, bit in 0_u8..8) {
        let case = Case::new();
        let mut signer = case.signer.sign(&key(2));
        let at = at.index(signer.len());
        signer[at] ^= 1 << bit;
        let texts = [signer, case.middle.sign(&key(3))].map(|der| pem::encode(LABEL, &der));
        if let Ok(chain) = Chain::from_pem(&texts.concat()) {
            let anchors = [case.anchor().unwrap()];
            proptest::prop_assert!(chain.check(key(1).public(), &anchors, now()).is_err());
        }
    }
}
