// SPDX-License-Identifier: Apache-2.0
//! Keys and signatures as bare numbers, which is how tokens (PKCS#11) write them.

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, ParsedPublicKey, RsaPublicKeyComponents};
use pkcs8::der::Encode as _;
use pkcs8::der::asn1::UintRef;

use crate::{Algorithm, BadKey, PublicKey};

impl PublicKey {
    /// Reads a point of P-256 (SEC 1, section 2.3.3).
    ///
    /// # Errors
    /// When it is none.
    pub fn from_p256_point(point: &[u8]) -> Result<Self, BadKey> {
        let damaged = || BadKey::Damaged { of: Some(Algorithm::EcdsaP256) };
        let parsed = ParsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point).ok().ok_or_else(damaged)?;
        Self::from_spki(parsed.as_der().ok().ok_or_else(damaged)?.as_ref())
    }

    /// Reads the modulus and the exponent of an RSA key, most significant byte first.
    ///
    /// # Errors
    /// When they are not those of a key, or it is too small or too large.
    pub fn from_rsa(modulus: &[u8], exponent: &[u8]) -> Result<Self, BadKey> {
        let key = RsaPublicKeyComponents { n: without_zeros(modulus), e: without_zeros(exponent) };
        let spki = key.as_der().or(Err(BadKey::Damaged { of: Some(Algorithm::RsaPss) }))?;
        Self::from_spki(spki.as_ref())
    }
}

/// An ECDSA signature in ASN.1 (RFC 3279, section 2.2.3), of the two numbers that tokens write one behind the other
/// (PKCS#11 3.0, section 2.3.1). `None` when they cannot be the halves of one.
pub fn ecdsa_from_raw(raw: &[u8]) -> Option<Vec<u8>> {
    if raw.is_empty() || !raw.len().is_multiple_of(2) {
        return None;
    }
    let (r, s) = raw.split_at(raw.len() / 2);
    [UintRef::new(r).ok()?, UintRef::new(s).ok()?].to_der().ok()
}

fn without_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    &number[zeros..]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::hex;
    use crate::{PrivateKey, Sign as _};

    /// The two numbers of a signature, each of 32 bytes.
    fn raw(signature: &[u8]) -> Vec<u8> {
        use pkcs8::der::Decode as _;
        let numbers = Vec::<UintRef<'_>>::from_der(signature).unwrap();
        let padded = |number: &UintRef<'_>| [&[0; 32][number.as_bytes().len()..], number.as_bytes()].concat();
        numbers.iter().flat_map(padded).collect()
    }

    #[test]
    fn numbers_of_a_signature_are_the_signature() {
        let key = PrivateKey::generate(Algorithm::EcdsaP256);
        // Some have a number with a leading zero, and about every second needs one in ASN.1.
        for turn in 0..600_u32 {
            let message = turn.to_be_bytes();
            let signature = key.sign(&message).unwrap();
            assert_eq!(ecdsa_from_raw(&raw(&signature)).unwrap(), signature);
        }
    }

    #[test]
    fn halves_that_are_none_are_refused() {
        assert_eq!(ecdsa_from_raw(&[]), None);
        assert_eq!(ecdsa_from_raw(&[1; 63]), None);
        insta::assert_snapshot!(hex(&ecdsa_from_raw(&[0x80; 4]).unwrap()), @"300a02030080800203008080");
    }

    #[test]
    fn numbers_of_a_key_are_the_key() {
        let elliptic = PrivateKey::generate(Algorithm::EcdsaP256).public().clone();
        // RFC 5480: the point is the end of the key, 65 bytes of it.
        let point = &elliptic.spki()[elliptic.spki().len() - 65..];
        assert_eq!(PublicKey::from_p256_point(point).unwrap(), elliptic);
        assert!(PublicKey::from_p256_point(&[4; 65]).is_err());

        let (modulus, exponent) = ([&[0, 0xb1][..], &[0x55; 255]].concat(), [0, 1, 0, 1]);
        let rsa = PublicKey::from_rsa(&modulus, &exponent).unwrap();
        assert_eq!((rsa.algorithm(), rsa.spki().len()), (Algorithm::RsaPss, 294));
        assert_eq!(PublicKey::from_rsa(&modulus[1..], &exponent[1..]).unwrap(), rsa);
        insta::assert_snapshot!(PublicKey::from_rsa(&modulus[..129], &exponent).unwrap_err(), @"it is an RSA key of 1024 bits, and must have 2048 to 8192");
    }
}
