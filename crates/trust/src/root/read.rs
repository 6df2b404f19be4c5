// SPDX-License-Identifier: Apache-2.0
//! From the JSON of a root to signers. Unknown fields are kept, as TUF says (section 4.2); in ours they are refused.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU64;

use jiff::Timestamp;
use package::{Digest, PublisherName};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::{BadRoot, Role, Root};
use crate::canonical;
use crate::json;
use crate::{Algorithm, BadKey, Chain, KeyId, PublicKey, Quorum, Signer};

/// The field of `signed` that is ours.
pub(super) const EXTENSION: &str = "x-l3af";
const MAX_SIGNATURES: usize = 64;

/// What we say in a root beside what TUF says. A reader of TUF keeps it and does not look at it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Extension {
    /// Whose root it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) publisher: Option<PublisherName>,
    /// Pairs of keys that are one signer: a classical and a post-quantum one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) hybrid: Vec<[KeyId; 2]>,
    /// Chains of certificates, as PEM, by the key they are for.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) certificates: BTreeMap<KeyId, String>,
}

#[derive(Deserialize)]
struct Written {
    signatures: Vec<WrittenSignature>,
    signed: Value,
}

#[derive(Deserialize)]
struct WrittenSignature {
    keyid: KeyId,
    sig: String,
}

#[derive(Deserialize)]
struct Signed {
    #[serde(rename = "_type")]
    kind: String,
    spec_version: String,
    version: NonZeroU64,
    #[serde(deserialize_with = "whole_seconds")]
    expires: Timestamp,
    keys: BTreeMap<KeyId, Value>,
    roles: BTreeMap<String, WrittenRole>,
    #[serde(default, rename = "x-l3af")]
    extension: Extension,
}

#[derive(Deserialize)]
struct WrittenRole {
    keyids: Vec<KeyId>,
    threshold: usize,
}

#[derive(Deserialize)]
struct WrittenKey {
    keytype: String,
    scheme: String,
    keyval: Value,
}

/// Signatures over a root, by the keys that they say they are of.
pub(super) type Signatures = Vec<(KeyId, Vec<u8>)>;

/// Reads a root. Nobody asked yet who signed it.
pub(super) fn root(bytes: &[u8]) -> Result<Root, BadRoot> {
    let (signed, signatures) = parts(bytes)?;
    let text = String::from_utf8_lossy(bytes).into_owned();
    checked(signed, signatures, text)
}

/// What was signed, and the signatures.
pub(super) fn parts(bytes: &[u8]) -> Result<(Value, Signatures), BadRoot> {
    let written: Written =
        serde_json::from_value(json::read(bytes).map_err(BadRoot::Json)?).map_err(BadRoot::Shape)?;
    let count = written.signatures.len();
    if count > MAX_SIGNATURES {
        return Err(BadRoot::TooManySignatures { count, max: MAX_SIGNATURES });
    }
    // Signers are counted and not signatures, so this gains nobody anything; but who counts lines is misled, and python-tuf
    // refuses it as well.
    let mut seen = BTreeSet::new();
    if let Some(twice) = written.signatures.iter().find(|signature| !seen.insert(&signature.keyid)) {
        return Err(BadRoot::SignedTwice { key: twice.keyid.clone() });
    }
    // A signature that is no hexadecimal text is one that nobody made; python-tuf writes an empty one for a key to come.
    let signatures = written.signatures.into_iter().filter_map(|one| Some((one.keyid, from_hex(&one.sig)?)));
    Ok((written.signed, signatures.collect()))
}

/// The root that this says.
pub(super) fn checked(value: Value, signatures: Signatures, text: String) -> Result<Root, BadRoot> {
    let signed: Signed = serde_json::from_value(value.clone()).map_err(BadRoot::Shape)?;
    if signed.kind != "root" {
        return Err(BadRoot::Type { found: signed.kind });
    }
    if !signed.spec_version.starts_with("1.") {
        return Err(BadRoot::Specification { found: signed.spec_version });
    }
    let keys = keys(&signed.keys)?;
    let quorum = |role: Role| Ok((role, quorum(role, &signed, &keys)?));
    let quorums = Role::ALL.into_iter().map(quorum).collect::<Result<_, BadRoot>>()?;
    Ok(Root {
        digest: Digest::of(text.as_bytes()),
        version: signed.version.get(),
        expires: signed.expires,
        publisher: signed.extension.publisher,
        quorums,
        signed: value,
        signatures,
        text,
    })
}

/// The bytes that signatures are over.
pub(super) fn signed_bytes(signed: &Value) -> Result<Vec<u8>, BadRoot> {
    canonical::encode(signed).map_err(BadRoot::Fraction)
}

/// The keys by name. One of an algorithm that is not known is left out: it counts for nothing (TUF 4.2).
fn keys(written: &BTreeMap<KeyId, Value>) -> Result<BTreeMap<KeyId, PublicKey>, BadRoot> {
    let mut keys = BTreeMap::new();
    for (id, value) in written {
        let key: WrittenKey = serde_json::from_value(value.clone()).map_err(BadRoot::Shape)?;
        // TUF leaves names open. Were they, one key under two names would meet a threshold of two.
        let form = serde_json::json!({"keytype": key.keytype, "scheme": key.scheme, "keyval": key.keyval});
        let digest = KeyId::of(&signed_bytes(&form)?);
        if digest != *id {
            return Err(BadRoot::KeyId { key: id.to_string(), digest });
        }
        let known = Algorithm::ALL
            .into_iter()
            .find(|known| (known.key_type(), known.name()) == (key.keytype.as_str(), key.scheme.as_str()));
        let Some(algorithm) = known else { continue };
        let refuse = |bad| BadRoot::Key { key: id.clone(), bad };
        let public = key.keyval.get("public").and_then(Value::as_str).unwrap_or_default();
        let read = public_key(algorithm, public).map_err(refuse)?;
        if read.algorithm() != algorithm {
            return Err(refuse(BadKey::Damaged { of: Some(algorithm) }));
        }
        // A PEM text can be folded in other ways; a draft looks keys up by the name of the one that is written here.
        if read.id() != *id {
            return Err(BadRoot::KeyId { key: id.to_string(), digest: read.id() });
        }
        keys.insert(id.clone(), read);
    }
    Ok(keys)
}

fn public_key(algorithm: Algorithm, public: &str) -> Result<PublicKey, BadKey> {
    match algorithm {
        Algorithm::Ed25519 => {
            let bytes = from_hex(public).and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
            PublicKey::from_ed25519(&bytes.ok_or(BadKey::Damaged { of: Some(algorithm) })?)
        }
        Algorithm::EcdsaP256 | Algorithm::RsaPss | Algorithm::MlDsa65 => PublicKey::from_pem(public),
    }
}

fn quorum(role: Role, root: &Signed, keys: &BTreeMap<KeyId, PublicKey>) -> Result<Quorum, BadRoot> {
    let name = role.in_tuf();
    let written = root.roles.get(name).ok_or(BadRoot::NoRole { role: name })?;
    let extension = &root.extension;
    if let Some(key) = written.keyids.iter().find(|key| !root.keys.contains_key(*key)) {
        return Err(BadRoot::NoKey { place: format!("roles.{name}"), key: key.clone() });
    }
    let mut signers = Vec::new();
    for id in &written.keyids {
        let Some(key) = keys.get(id) else { continue };
        let pair = extension.hybrid.iter().find(|pair| pair.contains(id));
        let signer = match pair {
            // The pair is one signer, where its first key stands.
            Some([first, second]) if first == id => {
                let other = keys.get(second).filter(|_| written.keyids.contains(second));
                let other = other.ok_or_else(|| BadRoot::Half { role: name, key: id.clone() })?;
                Signer::of(vec![key.clone(), other.clone()])
                    .map_err(|bad| BadRoot::Key { key: id.clone(), bad })?
            }
            Some([first, _]) if written.keyids.contains(first) => continue,
            Some(_) => return Err(BadRoot::Half { role: name, key: id.clone() }),
            None => Signer::single(key.clone()),
        };
        signers.push(certified(signer, extension)?);
    }
    Quorum::new(signers, written.threshold).map_err(|bad| BadRoot::Quorum { role: name, bad })
}

/// The signer with the chain that the root has for one of the keys.
fn certified(signer: Signer, extension: &Extension) -> Result<Signer, BadRoot> {
    let found = signer.ids().find_map(|key| extension.certificates.get_key_value(&key));
    let Some((key, text)) = found else { return Ok(signer) };
    let refuse = |bad| BadRoot::Certificate { key: key.clone(), bad: Box::new(bad) };
    Ok(signer.with_chain(Chain::from_pem(text).map_err(refuse)?))
}

/// A time as TUF writes it (4.2), `2030-01-31T00:00:00Z`: other readers refuse fractions and offsets.
fn whole_seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    let text = String::deserialize(deserializer)?;
    let time = text.parse::<Timestamp>().ok();
    let time = time.filter(|time| time.subsec_nanosecond() == 0 && time.to_string() == text);
    time.ok_or_else(|| D::Error::custom(format_args!("{text:?} is no time such as `2030-01-31T00:00:00Z`")))
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: &u8| {
        char::from(*byte).to_digit(16).map(|digit| u8::try_from(digit).expect("a digit is small"))
    };
    if !text.len().is_multiple_of(2) {
        return None;
    }
    text.as_bytes().chunks_exact(2).map(|pair| Some(digit(&pair[0])? << 4 | digit(&pair[1])?)).collect()
}
