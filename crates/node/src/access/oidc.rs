// SPDX-License-Identifier: Apache-2.0
//! Tokens of an `OpenID` Connect issuer (RFC 9068, RFC 8725): who signed them, for whom, until when.
//!
//! What algorithms a token may be signed with, its key says. A key of an issuer is public: a secret that two share, or none, signs
//! nothing here.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation, decode, decode_header};
use serde_json::{Map, Value};
use thiserror::Error;
use tokio::sync::Mutex;
use wire::{Issuer, IssuerError};

use super::caller::Token;
use crate::config::OidcConfig;

/// How long keys are used before the issuer is asked again.
const FRESH: Duration = Duration::from_mins(5);
/// For how long they are used while it does not answer.
const STALE: Duration = Duration::from_hours(1);
/// The shortest time between two questions, whatever tokens come.
const PAUSE: Duration = Duration::from_secs(5);
/// How far clocks may be apart, in seconds.
const LEEWAY: u64 = 30;
/// What a token may have.
const MAX_BYTES: usize = 16 * 1024;

/// An issuer whose tokens count.
pub(crate) struct Oidc {
    config: OidcConfig,
    issuer: Issuer,
    known: RwLock<Known>,
    /// When the issuer was asked last. Who holds this asks.
    asked: Mutex<Option<Instant>>,
}

/// The keys that are known.
#[derive(Clone, Default)]
struct Known {
    keys: Arc<[Jwk]>,
    came: Option<Instant>,
}

impl Known {
    fn is_younger(&self, age: Duration) -> bool {
        self.came.is_some_and(|came| came.elapsed() < age)
    }
}

/// A token does not count.
#[derive(Debug, Error)]
pub(crate) enum BadToken {
    /// It is not what it should be.
    #[error("the token does not count: {0}")]
    Invalid(String),
    /// Nobody can tell: the issuer was never asked with success, or long ago.
    #[error("the token cannot be verified now")]
    Unknown(#[source] IssuerError),
}

/// An issuer cannot be used.
#[derive(Debug, Error)]
pub enum BadIssuer {
    /// Its authorities cannot be read.
    #[error("cannot read the authorities of the issuer from `{}`", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// It cannot be asked.
    #[error(transparent)]
    Unusable(#[from] IssuerError),
}

impl Oidc {
    pub(crate) fn new(config: &OidcConfig) -> Result<Self, BadIssuer> {
        let read = |path: &PathBuf| {
            fs::read(path).map_err(|source| BadIssuer::Unreadable { path: path.clone(), source })
        };
        let roots = config.roots.as_ref().map(read).transpose()?;
        let issuer = Issuer::new(&config.issuer, roots.as_deref())?;
        Ok(Self { config: config.clone(), issuer, known: RwLock::default(), asked: Mutex::default() })
    }

    /// What a token says, if it counts.
    pub(crate) async fn verify(&self, token: &str) -> Result<Token, BadToken> {
        if token.len() > MAX_BYTES {
            return Err(BadToken::Invalid(format!("it has more than {MAX_BYTES} bytes")));
        }
        let header = decode_header(token).map_err(|error| BadToken::Invalid(error.to_string()))?;
        // What a token has that must be understood (RFC 7515, 4.1.11) is not understood here.
        if header.crit.is_some() {
            return Err(BadToken::Invalid("it has critical headers".to_owned()));
        }
        let mut known = self.known();
        if !known.is_younger(FRESH) {
            let asked = self.ask(&known).await;
            if asked.is_err() && known.is_younger(STALE) {
                tracing::debug!("the keys of the issuer are used that are known");
            } else {
                known = asked.map_err(BadToken::Unknown)?;
            }
        }
        let mut claims = self.claims(token, &header, &known.keys);
        // A key that is not known may be a new one, which may go by the name of an old one.
        if matches!(claims, Err(Unproven::Unknown)) {
            known = self.ask(&known).await.map_err(BadToken::Unknown)?;
            claims = self.claims(token, &header, &known.keys);
        }
        let claims = claims.map_err(|unproven| {
            BadToken::Invalid(match unproven {
                Unproven::Unknown => "no key of its issuer signed it".to_owned(),
                Unproven::Invalid(problem) => problem,
            })
        })?;
        self.token(&claims)
    }

    fn known(&self) -> Known {
        self.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks the issuer for its keys, unless somebody did just now, or does: then what is known has to do.
    async fn ask(&self, known: &Known) -> Result<Known, IssuerError> {
        let asking =
            if known.came.is_some() { self.asked.try_lock().ok() } else { Some(self.asked.lock().await) };
        let Some(mut asked) = asking else { return Ok(known.clone()) };
        if asked.is_some_and(|asked| asked.elapsed() < PAUSE) && self.known().came.is_some() {
            return Ok(self.known());
        }
        *asked = Some(Instant::now());
        let answer = self.issuer.keys().await.inspect_err(|error| {
            tracing::warn!(issuer = self.config.issuer, "cannot ask for the keys of tokens: {error}");
        });
        // Keys of kinds that are not known are for others.
        let keys = answer?.into_iter().filter_map(|key| serde_json::from_value(key).ok());
        let known = Known { keys: keys.collect(), came: Some(Instant::now()) };
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = known.clone();
        Ok(known)
    }

    /// The claims of a token that one of these keys signed.
    fn claims(&self, token: &str, header: &Header, keys: &[Jwk]) -> Result<Map<String, Value>, Unproven> {
        let is_meant = |key: &&Jwk| header.kid.is_none() || key.common.key_id == header.kid;
        let mut unproven = Unproven::Unknown;
        for key in keys.iter().filter(is_meant) {
            let algorithms = algorithms(key);
            if !algorithms.contains(&header.alg) {
                continue;
            }
            let mut validation = Validation::new(header.alg);
            validation.algorithms = algorithms;
            validation.leeway = LEEWAY;
            validation.validate_nbf = true;
            validation.set_issuer(&[&self.config.issuer]);
            validation.set_audience(&[&self.config.audience]);
            validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
            let verified = DecodingKey::from_jwk(key).and_then(|key| decode(token, &key, &validation));
            match verified {
                Ok(verified) => return Ok(verified.claims),
                Err(error) if *error.kind() == ErrorKind::InvalidSignature => {}
                Err(error) => unproven = Unproven::Invalid(told(&error, &self.config)),
            }
        }
        Err(unproven)
    }

    fn token(&self, claims: &Map<String, Value>) -> Result<Token, BadToken> {
        let text = |claim: &str| {
            let missing = || BadToken::Invalid(format!("it has no claim `{claim}` that is a plain text"));
            claims.get(claim).and_then(plain).ok_or_else(missing)
        };
        let groups: BTreeSet<String> = match claims.get(&self.config.groups_claim) {
            Some(Value::Array(groups)) => groups.iter().filter_map(plain).collect(),
            one => one.and_then(plain).into_iter().collect(),
        };
        Ok(Token {
            issuer: text("iss")?,
            subject: text("sub")?,
            name: text(&self.config.name_claim)?,
            groups,
        })
    }
}

/// A text that does nothing to a terminal.
fn plain(value: &Value) -> Option<String> {
    let text = value.as_str()?;
    (!text.is_empty() && !text.contains(char::is_control)).then(|| text.to_owned())
}

/// Why a token has no claims that count.
enum Unproven {
    /// No key that is known signed it.
    Unknown,
    /// It is not in order.
    Invalid(String),
}

/// What a key may sign with: what it says, or else all that such keys can.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "there may be more kinds of keys; nothing is known of them"
)]
fn algorithms(key: &Jwk) -> Vec<Algorithm> {
    if key.common.public_key_use.as_ref().is_some_and(|purpose| *purpose != PublicKeyUse::Signature) {
        return Vec::new();
    }
    let can: &[Algorithm] = match &key.algorithm {
        AlgorithmParameters::RSA(_) => &[
            Algorithm::RS256,
            Algorithm::RS384,
            Algorithm::RS512,
            Algorithm::PS256,
            Algorithm::PS384,
            Algorithm::PS512,
        ],
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => &[Algorithm::ES256],
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P384 => &[Algorithm::ES384],
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => &[Algorithm::EdDSA],
        // A secret that is published is none, and of other kinds nothing is known.
        _ => &[],
    };
    let said = key.common.key_algorithm;
    can.iter().copied().filter(|can| said.is_none_or(|said| said == KeyAlgorithm::from(*can))).collect()
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the others say it well themselves")]
fn told(error: &jsonwebtoken::errors::Error, config: &OidcConfig) -> String {
    match error.kind() {
        ErrorKind::ExpiredSignature => "it has expired".to_owned(),
        ErrorKind::ImmatureSignature => "it does not count yet".to_owned(),
        ErrorKind::InvalidAudience => format!("it is not meant for `{}`", config.audience),
        ErrorKind::InvalidIssuer => format!("it is not of `{}`", config.issuer),
        ErrorKind::MissingRequiredClaim(claim) => format!("it has no `{claim}`"),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::Ed25519KeyPair;
    use jsonwebtoken::{EncodingKey, encode, get_current_timestamp};
    use serde_json::json;

    use super::*;

    const ISSUER: &str = "https://issuer.example.org";

    fn key() -> (EncodingKey, Value) {
        let pair = Ed25519KeyPair::generate().unwrap();
        let key = EncodingKey::from_ed_der(pair.to_pkcs8v1().unwrap().as_ref());
        let public = serde_json::to_value(Jwk::from_encoding_key(&key, Algorithm::EdDSA).unwrap()).unwrap();
        (key, public)
    }

    /// An issuer that was asked just now.
    fn issuer(keys: &[Value]) -> Oidc {
        let config = json!({ "issuer": ISSUER, "audience": "l3afd", "name_claim": "email" });
        let oidc = Oidc::new(&serde_json::from_value(config).unwrap()).unwrap();
        let keys = keys.iter().map(|key| serde_json::from_value(key.clone()).unwrap()).collect();
        *oidc.known.write().unwrap() = Known { keys, came: Some(Instant::now()) };
        *oidc.asked.try_lock().unwrap() = Some(Instant::now());
        oidc
    }

    fn claims() -> Value {
        let now = get_current_timestamp();
        json!({
            "iss": ISSUER, "aud": ["other", "l3afd"], "sub": "1", "email": "alice@example.org",
            "groups": ["ops", 5, "a\u{1b}"], "exp": now + 60, "nbf": now,
        })
    }

    fn verified(oidc: &Oidc, token: &str) -> Result<Token, String> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(oidc.verify(token)).map_err(|bad| bad.to_string())
    }

    #[test]
    fn a_token_in_order_says_who_it_is() {
        let (key, public) = key();
        let token = encode(&Header::new(Algorithm::EdDSA), &claims(), &key).unwrap();
        let token = verified(&issuer(&[public]), &token).unwrap();
        assert_eq!((token.subject.as_str(), token.name.as_str()), ("1", "alice@example.org"));
        assert_eq!(token.groups, ["ops".to_owned()].into());
    }

    #[test]
    fn a_token_counts_in_its_time_for_whom_it_is_meant() {
        let (key, public) = key();
        let oidc = issuer(&[public]);
        let now = get_current_timestamp();
        for (claim, value, words) in [
            ("exp", json!(now - 60), "it has expired"),
            ("nbf", json!(now + 60), "it does not count yet"),
            ("iss", json!("https://evil.example.org"), "it is not of `https://issuer.example.org`"),
            ("aud", json!("other"), "it is not meant for `l3afd`"),
            ("exp", Value::Null, "it has no `exp`"),
            ("aud", Value::Null, "it has no `aud`"),
            ("sub", Value::Null, "it has no `sub`"),
            ("email", json!("a\u{7}"), "it has no claim `email` that is a plain text"),
        ] {
            let mut claims = claims();
            let all = claims.as_object_mut().unwrap();
            all.remove(claim);
            all.extend((!value.is_null()).then(|| (claim.to_owned(), value)));
            let token = encode(&Header::new(Algorithm::EdDSA), &claims, &key).unwrap();
            let refused = verified(&oidc, &token).unwrap_err();
            assert!(refused.contains(words), "{refused}");
        }
    }

    #[test]
    fn the_key_says_by_what_algorithm_and_a_secret_is_no_key() {
        let (key, public) = key();
        let token = encode(&Header::new(Algorithm::EdDSA), &claims(), &key).unwrap();
        for (field, value) in [("use", "enc"), ("alg", "ES256"), ("kid", "other")] {
            let mut header = Header::new(Algorithm::EdDSA);
            header.kid = Some("one".to_owned());
            let token = encode(&header, &claims(), &key).unwrap();
            let mut public = public.clone();
            public["kid"] = json!("one");
            public[field] = json!(value);
            assert!(verified(&issuer(&[public]), &token).unwrap_err().contains("no key of its issuer"));
        }
        let secret = json!({ "kty": "oct", "k": "c2VjcmV0" });
        let symmetric = EncodingKey::from_secret(b"secret");
        let forged = encode(&Header::default(), &claims(), &symmetric.unwrap()).unwrap();
        assert!(verified(&issuer(&[secret, public]), &forged).unwrap_err().contains("no key of its issuer"));
        assert!(verified(&issuer(&[]), &token).is_err());
    }
}
