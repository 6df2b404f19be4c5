// SPDX-License-Identifier: Apache-2.0
//! Keys that sign, as files hold them. They are cleared when they are let go, and never shown.
//!
//! Making a key and signing take randomness from the backend; nothing that decides anything does.

use std::fmt;

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::{self, SystemRandom};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, ML_DSA_65_SIGNING,
    PqdsaKeyPair, RSA_PSS_SHA256, RsaKeyPair,
};
use pkcs8::pkcs5::pbes2;
use pkcs8::pkcs5::scrypt;
use pkcs8::{EncryptedPrivateKeyInfoRef, PrivateKeyInfoRef};
use zeroize::Zeroizing;

use crate::keys::algorithm;
use crate::pem::{self, Block};
use crate::{Algorithm, BadKey, PublicKey, Sign, SignError};

const LABEL: &str = "PRIVATE KEY";
const ENCRYPTED_LABEL: &str = "ENCRYPTED PRIVATE KEY";
/// scrypt (RFC 7914) with N = 2^14, r = 8, p = 5, one of the choices of OWASP's "Password Storage Cheat Sheet". Those with
/// more memory OpenSSL does not read (3.0, `crypto/evp/pbe_scrypt.c`: 32 MiB at most).
const SCRYPT: (u8, u32, u32) = (14, 8, 5);

/// A key that signs.
#[derive(Clone)]
pub struct PrivateKey {
    /// PKCS#8 (RFC 5958), version 1.
    pkcs8: Zeroizing<Vec<u8>>,
    public: PublicKey,
}

/// What encrypting a key needs of good randomness.
#[derive(Debug, Clone, Copy)]
pub struct Salt {
    /// For the key derivation.
    pub salt: [u8; 16],
    /// For the cipher.
    pub iv: [u8; 16],
}

impl Salt {
    /// A new one.
    pub fn random() -> Self {
        let mut new = Self { salt: [0; 16], iv: [0; 16] };
        for bytes in [&mut new.salt, &mut new.iv] {
            rand::fill(bytes).expect("the system has randomness");
        }
        new
    }
}

/// The backend's form of a key.
enum Pair {
    Ed25519(Ed25519KeyPair),
    EcdsaP256(EcdsaKeyPair),
    RsaPss(RsaKeyPair),
    MlDsa65(PqdsaKeyPair),
}

impl PrivateKey {
    /// A new key; RSA keys have 3072 bits.
    pub fn generate(algorithm: Algorithm) -> Self {
        const WORKS: &str = "making keys fails only without memory or randomness";
        let pkcs8 = match algorithm {
            Algorithm::Ed25519 => Ed25519KeyPair::generate().and_then(|pair| pair.to_pkcs8v1()),
            Algorithm::EcdsaP256 => {
                EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).and_then(|pair| pair.to_pkcs8v1())
            }
            Algorithm::MlDsa65 => {
                PqdsaKeyPair::generate(&ML_DSA_65_SIGNING).and_then(|pair| pair.to_pkcs8v1())
            }
            Algorithm::RsaPss => {
                let pair = RsaKeyPair::generate(KeySize::Rsa3072).expect(WORKS);
                return Self::from_pkcs8(pair.as_der().expect(WORKS).as_ref()).expect(WORKS);
            }
        };
        Self::from_pkcs8(pkcs8.expect(WORKS).as_ref()).expect(WORKS)
    }

    /// The Ed25519 key of a seed (RFC 8032, section 5.1.5).
    pub fn from_seed(seed: [u8; 32]) -> Self {
        const ANY: &str = "any 32 bytes are a seed";
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).expect(ANY);
        Self::from_pkcs8(pair.to_pkcs8v1().expect(ANY).as_ref()).expect(ANY)
    }

    /// The ML-DSA-65 key of a seed (FIPS 204, section 5.1).
    pub fn post_quantum_from_seed(seed: [u8; 32]) -> Self {
        const ANY: &str = "any 32 bytes are a seed";
        let pair = PqdsaKeyPair::from_seed(&ML_DSA_65_SIGNING, &seed).expect(ANY);
        Self::from_pkcs8(pair.to_pkcs8v1().expect(ANY).as_ref()).expect(ANY)
    }

    /// Reads a PEM text with one key (PKCS#8), as `openssl genpkey` writes it.
    ///
    /// # Errors
    /// When the text holds anything else, or a key that is encrypted or not supported.
    pub fn from_pem(text: &str) -> Result<Self, BadKey> {
        let keys = Self::all_from_pem(text, None)?;
        let count = keys.len();
        let several = || BadKey::Other { found: vec![LABEL.to_owned(); count], wanted: "one `PRIVATE KEY`" };
        let [key] = <[Self; 1]>::try_from(keys).ok().ok_or_else(several)?;
        Ok(key)
    }

    /// Reads a PEM text with the keys of one signer: one, or two that are a hybrid. The passphrase opens those that are
    /// encrypted.
    ///
    /// # Errors
    /// When the text holds anything else, or the passphrase is missing or wrong.
    pub fn all_from_pem(text: &str, passphrase: Option<&[u8]>) -> Result<Vec<Self>, BadKey> {
        let blocks = pem::blocks(text)?;
        if blocks.is_empty() {
            return Err(BadKey::Other { found: Vec::new(), wanted: "a `PRIVATE KEY`" });
        }
        let keys = blocks.iter().map(|block| Self::from_block(block, passphrase));
        let keys = keys.collect::<Result<Vec<_>, _>>()?;
        crate::Signer::of(keys.iter().map(|key| key.public.clone()).collect())?;
        Ok(keys)
    }

    /// The key as a PEM text. Whoever has it signs as its owner.
    pub fn to_pem(&self) -> Zeroizing<String> {
        Zeroizing::new(pem::encode(LABEL, &self.pkcs8))
    }

    /// The key as a PEM text that a passphrase opens: PBES2 with scrypt and AES-256-CBC, which OpenSSL reads.
    pub fn to_encrypted_pem(&self, passphrase: &[u8], random: Salt) -> String {
        const FITS: &str = "parameters of ours fit";
        let (log_n, block, parallel) = SCRYPT;
        let cost = scrypt::Params::new(log_n, block, parallel).expect(FITS);
        let parameters =
            pbes2::Parameters::generate_scrypt_aes256cbc(cost, &random.salt, random.iv).expect(FITS);
        let key = PrivateKeyInfoRef::try_from(self.pkcs8.as_slice()).expect("it was read before");
        let encrypted = key.encrypt_with_params(parameters, passphrase).expect(FITS);
        pem::encode(ENCRYPTED_LABEL, encrypted.as_bytes())
    }

    /// The key that checks what this one signs.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    fn from_block(block: &Block, passphrase: Option<&[u8]>) -> Result<Self, BadKey> {
        match (block.label.as_str(), passphrase) {
            (LABEL, _) => Self::from_pkcs8(&block.der),
            (ENCRYPTED_LABEL, None) => Err(BadKey::Encrypted),
            (ENCRYPTED_LABEL, Some(passphrase)) => {
                let encrypted = EncryptedPrivateKeyInfoRef::try_from(block.der.as_slice());
                let key = encrypted.and_then(|key| key.decrypt(passphrase)).or(Err(BadKey::Passphrase))?;
                Self::from_pkcs8(key.as_bytes())
            }
            (label, _) => Err(BadKey::Other { found: vec![label.to_owned()], wanted: "a `PRIVATE KEY`" }),
        }
    }

    fn from_pkcs8(der: &[u8]) -> Result<Self, BadKey> {
        let pair = Pair::read(der)?;
        Ok(Self { pkcs8: Zeroizing::new(der.to_vec()), public: pair.public()? })
    }
}

impl Sign for PrivateKey {
    fn public(&self) -> &PublicKey {
        &self.public
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let pair = Pair::read(&self.pkcs8).map_err(SignError::new)?;
        pair.sign(message)
            .ok_or_else(|| SignError::new(BadKey::Damaged { of: Some(self.public.algorithm()) }))
    }
}

impl Pair {
    fn read(der: &[u8]) -> Result<Self, BadKey> {
        let info = PrivateKeyInfoRef::try_from(der).or(Err(BadKey::Damaged { of: None }))?;
        let algorithm = algorithm(&info.algorithm)?;
        let read = match algorithm {
            Algorithm::Ed25519 => Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).map(Self::Ed25519),
            Algorithm::EcdsaP256 => {
                EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, der).map(Self::EcdsaP256)
            }
            Algorithm::RsaPss => RsaKeyPair::from_pkcs8(der).map(Self::RsaPss),
            Algorithm::MlDsa65 => PqdsaKeyPair::from_pkcs8(&ML_DSA_65_SIGNING, der).map(Self::MlDsa65),
        };
        read.or(Err(BadKey::Damaged { of: Some(algorithm) }))
    }

    fn public(&self) -> Result<PublicKey, BadKey> {
        let damaged = BadKey::Damaged { of: None };
        match self {
            Self::Ed25519(pair) => {
                let key = pair.public_key().as_ref().try_into().expect("an Ed25519 key has 32 bytes");
                PublicKey::from_ed25519(key)
            }
            Self::EcdsaP256(pair) => {
                PublicKey::from_spki(pair.public_key().as_der().or(Err(damaged))?.as_ref())
            }
            Self::RsaPss(pair) => PublicKey::from_spki(pair.public_key().as_der().or(Err(damaged))?.as_ref()),
            Self::MlDsa65(pair) => {
                PublicKey::from_spki(pair.public_key().as_der().or(Err(damaged))?.as_ref())
            }
        }
    }

    fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        let random = SystemRandom::new();
        match self {
            Self::Ed25519(pair) => Some(pair.sign(message).as_ref().to_vec()),
            Self::EcdsaP256(pair) => pair.sign(&random, message).ok().map(|sig| sig.as_ref().to_vec()),
            Self::RsaPss(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PSS_SHA256, &random, message, &mut signature).ok().map(|()| signature)
            }
            Self::MlDsa65(pair) => {
                let mut signature = vec![0; ML_DSA_65_SIGNING.signature_len()];
                pair.sign(&Algorithm::MlDsa65.input(message), &mut signature).ok().map(|_| signature)
            }
        }
    }
}

/// Keys are never shown.
impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PrivateKey").field(&self.public.id()).finish()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// RFC 8032, section 7.1, test 1.
    pub(crate) const SEED: [u8; 32] = [
        0x9d, 0x61, 0xb1, 0x9d, 0xef, 0xfd, 0x5a, 0x60, 0xba, 0x84, 0x4a, 0xf4, 0x92, 0xec, 0x2c, 0xc4, 0x44,
        0x49, 0xc5, 0x69, 0x7b, 0x32, 0x69, 0x19, 0x70, 0x3b, 0xac, 0x03, 0x1c, 0xae, 0x7f, 0x60,
    ];

    #[test]
    fn a_signature_is_the_one_of_rfc_8032() {
        let key = PrivateKey::from_seed(SEED);
        let signature = key.sign(b"").unwrap();
        assert_eq!(signature[..8], [0xe5, 0x56, 0x43, 0x00, 0xc3, 0x60, 0xac, 0x72]);
        assert!(key.public().accepts(b"", &signature));
        assert!(!key.public().accepts(b"x", &signature));
        assert!(!key.public().accepts(b"", &signature[1..]));
    }

    #[test]
    fn what_a_key_signs_it_alone_verifies() {
        let keys = Algorithm::ALL.map(PrivateKey::generate);
        for key in &keys {
            let signature = key.sign(b"message").unwrap();
            for other in &keys {
                let same = other.public() == key.public();
                assert_eq!(other.public().accepts(b"message", &signature), same, "{key:?} {other:?}");
            }
            assert!(!key.public().accepts(b"massage", &signature));
        }
    }

    #[test]
    fn keys_read_as_they_are_written() {
        for algorithm in Algorithm::ALL {
            let key = PrivateKey::generate(algorithm);
            assert_eq!(PrivateKey::from_pem(&key.to_pem()).unwrap().public(), key.public());
            assert_eq!(key.public().algorithm(), algorithm);
        }
    }

    #[test]
    fn a_passphrase_opens_what_it_closed() {
        let key = PrivateKey::from_seed(SEED);
        let closed = key.to_encrypted_pem(b"correct horse", Salt { salt: [1; 16], iv: [2; 16] });
        let open = |passphrase| PrivateKey::all_from_pem(&closed, passphrase);
        assert_eq!(open(Some(b"correct horse")).unwrap()[0].public(), key.public());
        assert_eq!(open(Some(b"battery staple")).unwrap_err(), BadKey::Passphrase);
        assert_eq!(open(None).unwrap_err(), BadKey::Encrypted);
    }

    #[test]
    fn a_key_that_openssl_encrypted_is_read() {
        // openssl genpkey -algorithm ed25519 -out key; openssl pkcs8 -topk8 -scrypt -scrypt_N 1024 -in key -passout pass:x
        let closed = include_str!("../testdata/keys/scrypt.pem");
        let open = include_str!("../testdata/keys/plain.pem");
        let read = PrivateKey::all_from_pem(closed, Some(b"x")).unwrap();
        assert_eq!(read[0].public(), PrivateKey::from_pem(open).unwrap().public());
    }

    #[test]
    fn two_keys_in_one_text_are_a_hybrid_or_refused() {
        let classical = PrivateKey::from_seed(SEED);
        let quantum = PrivateKey::post_quantum_from_seed(SEED);
        let both = [classical.to_pem().as_str(), &quantum.to_pem()].concat();
        assert_eq!(PrivateKey::all_from_pem(&both, None).unwrap().len(), 2);
        let twice = [classical.to_pem().as_str(), &classical.to_pem()].concat();
        insta::assert_snapshot!(PrivateKey::all_from_pem(&twice, None).unwrap_err(), @"it holds `ed25519` and `ed25519`; a hybrid signer is one classical and one post-quantum key");
        insta::assert_snapshot!(PrivateKey::from_pem(&both).unwrap_err(), @"it holds `PRIVATE KEY`, `PRIVATE KEY`, not one `PRIVATE KEY`");
    }

    #[test]
    fn a_key_is_not_shown() {
        let key = PrivateKey::from_seed(SEED);
        assert!(!format!("{key:?}").contains("9d61") && !format!("{key:?}").contains("nWGx"));
    }
}
