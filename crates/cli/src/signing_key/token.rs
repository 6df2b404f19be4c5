// SPDX-License-Identifier: Apache-2.0
//! Keys on tokens (PKCS#11): the token signs, and the key never leaves it.

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::eddsa::{EddsaParams, EddsaSignatureScheme};
use cryptoki::mechanism::rsa::{PkcsMgfType, PkcsPssParams};
use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::{Slot, TokenInfo};
use cryptoki::types::AuthPin;
use package::Digest;
use trust::{Algorithm, BadKey, PublicKey, Sign, SignError, ecdsa_from_raw};

use super::token_uri::TokenUri;
use super::{Passphrase, Passphrases};
use crate::failure::{Failure, Outcome};

/// The object identifier of P-256 in DER, which is how `CKA_EC_PARAMS` names curves.
const P256: &[u8] = &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];

/// A key on a token, and a session that may use it.
pub(super) struct TokenKey {
    session: Session,
    key: ObjectHandle,
    public: PublicKey,
}

/// Finds a key and logs in to its token.
pub(super) fn open(uri: &TokenUri, passphrases: &Passphrases) -> Result<TokenKey, Failure> {
    let module = load(uri)?;
    let (slot, token) = the_token(&module, uri)?;
    let session =
        module.open_ro_session(slot).map_err(|error| failed("cannot use the token", uri, &error))?;
    log_in(&session, &token, uri, passphrases)?;
    let key = the_key(&session, uri)?;
    let public = public_key(&session, key, uri)?;
    Ok(TokenKey { session, key, public })
}

impl Sign for TokenKey {
    fn public(&self) -> &PublicKey {
        &self.public
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let sign = |mechanism, input: &[u8]| {
            self.session.sign(&mechanism, self.key, input).map_err(|error| SignError::new(said(&error)))
        };
        match self.public.algorithm() {
            Algorithm::EcdsaP256 => {
                // Not all tokens know `CKM_ECDSA_SHA256`; all know this one.
                let raw = sign(Mechanism::Ecdsa, Digest::of(message).bytes())?;
                ecdsa_from_raw(&raw).ok_or_else(|| SignError::new("the token answered no ECDSA signature"))
            }
            Algorithm::RsaPss => sign(Mechanism::Sha256RsaPkcsPss(pss()), message),
            Algorithm::Ed25519 => {
                sign(Mechanism::Eddsa(EddsaParams::new(EddsaSignatureScheme::Ed25519)), message)
            }
            Algorithm::MlDsa65 => Err(SignError::new("keys for ML-DSA on tokens are not supported")),
        }
    }
}

/// RFC 8017, section 8.1, with the parameters of `rsassa-pss-sha256` in TUF.
fn pss() -> PkcsPssParams {
    let salt_bytes = 32_usize.try_into().expect("it is small");
    PkcsPssParams { hash_alg: MechanismType::SHA256, mgf: PkcsMgfType::MGF1_SHA256, s_len: salt_bytes }
}

fn load(uri: &TokenUri) -> Result<Pkcs11, Failure> {
    let path = uri.module.display();
    let module = Pkcs11::new(&uri.module).map_err(|error| {
        Failure::new(format!("cannot load `{path}`: {error}"))
            .with_hint("`module-path` names the PKCS#11 library that came with the token")
    })?;
    match module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
        // Another key is there already.
        Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => Ok(module),
        Err(error) => Err(Failure::new(format!("`{path}` does not start: {}", said(&error)))),
    }
}

fn the_token(module: &Pkcs11, uri: &TokenUri) -> Result<(Slot, TokenInfo), Failure> {
    let unlisted = |error| failed("cannot list the tokens", uri, &error);
    let mut found = Vec::new();
    let mut others = Vec::new();
    for slot in module.get_slots_with_initialized_token().map_err(unlisted)? {
        let token = module.get_token_info(slot).map_err(unlisted)?;
        if fits(&token, uri) {
            found.push((slot, token));
        } else {
            others.push(format!("`{}`", token.label()));
        }
    }
    if found.len() > 1 {
        return Err(Failure::new(format!("{} tokens fit {uri}", found.len()))
            .with_hint("tell them apart by `serial`"));
    }
    found.pop().ok_or_else(|| {
        let there = if others.is_empty() {
            "there is none".to_owned()
        } else {
            format!("there is {}", others.join(", "))
        };
        Failure::new(format!("no token fits {uri}; {there}")).with_hint("is it plugged in?")
    })
}

fn fits(token: &TokenInfo, uri: &TokenUri) -> bool {
    let told = [token.label(), token.manufacturer_id(), token.model(), token.serial_number()];
    let wanted = [&uri.token, &uri.manufacturer, &uri.model, &uri.serial];
    told.iter().zip(wanted).all(|(told, wanted)| wanted.as_ref().is_none_or(|wanted| wanted == told))
}

fn log_in(session: &Session, token: &TokenInfo, uri: &TokenUri, passphrases: &Passphrases) -> Outcome {
    if !token.login_required() {
        return Ok(());
    }
    let pin = match &uri.pin_source {
        // It is typed on the token itself.
        _ if token.protected_authentication_path() => None,
        Some(file) => Some(Passphrase::read(file)?),
        None => Some(passphrases.open(&format!("the token `{}`", token.label()))?),
    };
    let pin = pin.map(|pin| AuthPin::from(pin.text().to_owned()));
    match session.login(UserType::User, pin.as_ref()) {
        // Another key of this token was opened before.
        Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => Ok(()),
        Err(Error::Pkcs11(RvError::PinIncorrect, _)) => {
            Err(Failure::new(format!("the PIN does not open the token `{}`", token.label()))
                .with_hint("after a few wrong ones a token locks itself"))
        }
        Err(error) => Err(failed("cannot log in to the token", uri, &error)),
    }
}

fn the_key(session: &Session, uri: &TokenUri) -> Result<ObjectHandle, Failure> {
    let mut template = vec![Attribute::Class(ObjectClass::PRIVATE_KEY)];
    template.extend(uri.object.iter().map(|label| Attribute::Label(label.as_bytes().to_vec())));
    template.extend(uri.id.iter().map(|id| Attribute::Id(id.clone())));
    let found =
        session.find_objects(&template).map_err(|error| failed("cannot list the keys", uri, &error))?;
    match found.as_slice() {
        [key] => Ok(*key),
        [] => Err(Failure::new(format!("there is no private key {uri}"))
            .with_hint("`pkcs11-tool --module MODULE --login --list-objects` shows the keys of a token")),
        several => Err(Failure::new(format!("{} private keys fit {uri}", several.len()))
            .with_hint("tell them apart by `id`")),
    }
}

/// The public half of a private key. Tokens keep it as another object with the same id.
fn public_key(session: &Session, key: ObjectHandle, uri: &TokenUri) -> Result<PublicKey, Failure> {
    let unread = |error| failed("cannot read the key", uri, &error);
    let mut kind = None;
    let mut template = vec![Attribute::Class(ObjectClass::PUBLIC_KEY)];
    let wanted = [AttributeType::KeyType, AttributeType::Id, AttributeType::AlwaysAuthenticate];
    for attribute in session.get_attributes(key, &wanted).map_err(unread)? {
        if attribute == Attribute::AlwaysAuthenticate(true) {
            return Err(Failure::new(format!("the key {uri} wants the PIN again for each signature"))
                .with_hint("that is not supported here; `command:` can run a program that does it"));
        } else if let Attribute::KeyType(found) = attribute {
            kind = Some(found);
        } else if let Attribute::Id(id) = attribute {
            template.push(Attribute::Id(id));
        }
    }
    template.extend(kind.map(Attribute::KeyType));
    let found = session.find_objects(&template).map_err(unread)?;
    let half = found.first().ok_or_else(|| {
        Failure::new(format!("the token has no public key with the id of {uri}"))
            .with_hint("write it to the token beside the private one, as `pkcs11-tool --write-object` does")
    })?;
    let wanted = [
        AttributeType::EcParams,
        AttributeType::EcPoint,
        AttributeType::Modulus,
        AttributeType::PublicExponent,
    ];
    let parts = Parts::of(session.get_attributes(*half, &wanted).map_err(unread)?);
    parts.key(kind).map_err(|error| Failure::new(format!("the key {uri} cannot be used: {error}")))
}

/// What a public key is made of.
#[derive(Debug, Default)]
struct Parts {
    curve: Vec<u8>,
    point: Vec<u8>,
    modulus: Vec<u8>,
    exponent: Vec<u8>,
}

impl Parts {
    fn of(attributes: Vec<Attribute>) -> Self {
        let mut parts = Self::default();
        for attribute in attributes {
            if let Attribute::EcParams(bytes) = attribute {
                parts.curve = bytes;
            } else if let Attribute::EcPoint(bytes) = attribute {
                parts.point = bytes;
            } else if let Attribute::Modulus(bytes) = attribute {
                parts.modulus = bytes;
            } else if let Attribute::PublicExponent(bytes) = attribute {
                parts.exponent = bytes;
            }
        }
        parts
    }

    fn key(&self, kind: Option<KeyType>) -> Result<PublicKey, BadKey> {
        let point = unwrapped(&self.point);
        match kind {
            Some(KeyType::RSA) => PublicKey::from_rsa(&self.modulus, &self.exponent),
            Some(KeyType::EC) if self.curve == P256 => PublicKey::from_p256_point(point),
            Some(KeyType::EC_EDWARDS) => {
                let other = || BadKey::Algorithm { oid: "another curve than Ed25519".to_owned() };
                PublicKey::from_ed25519(point.try_into().ok().ok_or_else(other)?)
            }
            other => {
                let name = other.map_or("none".to_owned(), |kind| kind.to_string());
                Err(BadKey::Algorithm { oid: name })
            }
        }
    }
}

/// A point is an OCTET STRING in PKCS#11 2.40 and later, and was bare before; some tokens still write it so.
fn unwrapped(point: &[u8]) -> &[u8] {
    match point {
        [0x04, length, bare @ ..] if usize::from(*length) == bare.len() && [32, 65].contains(&bare.len()) => {
            bare
        }
        bare => bare,
    }
}

fn failed(what: &str, uri: &TokenUri, error: &Error) -> Failure {
    Failure::new(format!("{what} of {uri}: {}", said(error)))
}

/// What a module answered. The sentences of the specification are long, and the names of their codes say as much.
fn said(error: &Error) -> String {
    if let Error::Pkcs11(code, function) = error {
        format!("the token answers {code:?} to {function:?}")
    } else {
        error.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_is_read_wrapped_and_bare() {
        let bare = [&[4][..], &[63; 64]].concat();
        let wrapped = [&[4, 65][..], &bare].concat();
        assert_eq!(unwrapped(&wrapped), bare);
        assert_eq!(unwrapped(&bare), bare);
        assert_eq!(unwrapped(&[&[4, 32][..], &[30; 32]].concat()), [30; 32]);
        let edwards = [&[4, 30][..], &[7; 30]].concat();
        assert_eq!(unwrapped(&edwards), edwards);
    }

    #[test]
    fn keys_for_other_algorithms_are_refused() {
        let refused = |kind| Parts::default().key(kind).unwrap_err().to_string();
        insta::assert_snapshot!(refused(Some(KeyType::EC)), @"its algorithm (CKK_EC) is none of Ed25519, ECDSA on P-256, RSA and ML-DSA-65, which are supported");
        insta::assert_snapshot!(refused(Some(KeyType::EC_EDWARDS)), @"its algorithm (another curve than Ed25519) is none of Ed25519, ECDSA on P-256, RSA and ML-DSA-65, which are supported");
        insta::assert_snapshot!(refused(Some(KeyType::GENERIC_SECRET)), @"its algorithm (CKK_GENERIC_SECRET) is none of Ed25519, ECDSA on P-256, RSA and ML-DSA-65, which are supported");
    }
}
