// SPDX-License-Identifier: Apache-2.0
//! Tokens of an `OpenID` Connect issuer (RFC 7519, RFC 8725): who signed them, for whom, until when.
//!
//! What algorithms a token may be signed with, its key says. A key of an issuer is public: a secret that two share, or none, signs
//! nothing here. What a token says of whoever shows it is for whoever asks.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation, decode, decode_header};
use serde_json::{Map, Value};
use thiserror::Error;
use tokio::sync::Mutex;
use wire::{Code, Discovered, Given, Issuer, IssuerClient, IssuerError};

/// How long keys are used before the issuer is asked again.
const FRESH: Duration = Duration::from_mins(5);
/// For how long they are used while it does not answer.
const STALE: Duration = Duration::from_hours(1);
/// The shortest time between two questions, whatever tokens come.
const PAUSE: Duration = Duration::from_secs(5);
/// How far clocks may be apart, in seconds.
const LEEWAY: i64 = 30;
/// What a token may have.
const MAX_BYTES: usize = 16 * 1024;

/// What a token says, by the names of claims.
pub type Claims = Map<String, Value>;

/// Verifies the tokens of one issuer.
pub struct Verifier {
    name: String,
    issuer: Issuer,
    known: RwLock<Known>,
    /// When the issuer was asked last. Who holds this asks.
    asked: Mutex<Option<Instant>>,
}

/// What is known of an issuer.
#[derive(Clone, Default)]
struct Known {
    keys: Arc<[Jwk]>,
    /// None where it was never asked with success.
    told: Option<Arc<Discovered>>,
    came: Option<Instant>,
}

impl Known {
    fn is_younger(&self, age: Duration) -> bool {
        self.came.is_some_and(|came| came.elapsed() < age)
    }
}

/// A token does not count.
#[derive(Debug, Error)]
pub enum BadToken {
    /// It is not what it should be.
    #[error("the token does not count: {0}")]
    Invalid(String),
    /// Nobody can tell: the issuer was never asked with success, or long ago.
    #[error("the token cannot be verified now")]
    Unknown(#[source] IssuerError),
}

impl Verifier {
    /// A verifier for an issuer, by its URL as its tokens have it; and the authorities of its certificate (PEM), in place of those
    /// of this machine. Nothing is asked yet.
    ///
    /// # Errors
    /// When the authorities cannot be read.
    pub fn new(issuer: &str, roots: Option<&[u8]>) -> Result<Self, IssuerError> {
        let (name, issuer) = (issuer.to_owned(), Issuer::new(issuer, roots)?);
        Ok(Self { name, issuer, known: RwLock::default(), asked: Mutex::default() })
    }

    /// What a token says, if the issuer made it for this audience and it counts now.
    ///
    /// # Errors
    /// When it does not count, or nobody can tell.
    pub async fn verify(&self, token: &str, audience: &str, now: Timestamp) -> Result<Claims, BadToken> {
        if token.len() > MAX_BYTES {
            return Err(BadToken::Invalid(format!("it has more than {MAX_BYTES} bytes")));
        }
        let header = decode_header(token).map_err(|error| BadToken::Invalid(error.to_string()))?;
        // What a token has that must be understood (RFC 7515, 4.1.11) is not understood here.
        if header.crit.is_some() {
            return Err(BadToken::Invalid("it has critical headers".to_owned()));
        }
        let mut known = self.fresh().await.map_err(BadToken::Unknown)?;
        let mut claims = self.claims(token, &header, audience, &known.keys);
        // A key that is not known may be a new one, which may go by the name of an old one.
        if matches!(claims, Err(Unproven::Unknown)) {
            known = self.ask(&known).await.map_err(BadToken::Unknown)?;
            claims = self.claims(token, &header, audience, &known.keys);
        }
        let claims = claims.map_err(|unproven| {
            BadToken::Invalid(match unproven {
                Unproven::Unknown => "no key of its issuer signed it".to_owned(),
                Unproven::Invalid(problem) => problem,
            })
        })?;
        in_its_time(&claims, now.as_second()).map_err(|problem| BadToken::Invalid(problem.to_owned()))?;
        Ok(claims)
    }

    /// What the issuer tells of itself.
    ///
    /// # Errors
    /// When it was never asked with success, or long ago.
    pub async fn discovered(&self) -> Result<Arc<Discovered>, IssuerError> {
        let told = self.fresh().await?.told;
        let never = || IssuerError::Silent {
            url: self.name.clone(),
            problem: "it was just asked in vain".to_owned(),
        };
        told.ok_or_else(never)
    }

    /// What the issuer gives for a code, not verified yet.
    ///
    /// # Errors
    /// When it gives nothing.
    pub async fn redeem(&self, client: &IssuerClient, code: Code<'_>) -> Result<Given, IssuerError> {
        self.issuer.redeem(&*self.discovered().await?, client, code).await
    }

    /// What the issuer tells of the person for whom it gave an access token, besides.
    ///
    /// # Errors
    /// When it does not tell.
    pub async fn person(&self, token: &str) -> Result<Claims, IssuerError> {
        self.issuer.person(&*self.discovered().await?, token).await
    }

    fn known(&self) -> Known {
        self.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What is known, and not too old.
    async fn fresh(&self) -> Result<Known, IssuerError> {
        let known = self.known();
        if known.is_younger(FRESH) {
            return Ok(known);
        }
        match self.ask(&known).await {
            Err(_) if known.is_younger(STALE) => {
                tracing::debug!("the keys of the issuer are used that are known");
                Ok(known)
            }
            asked => asked,
        }
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
        let answer = self.issuer.ask().await.inspect_err(|error| {
            tracing::warn!(issuer = self.name, "cannot ask for the keys of tokens: {error}");
        });
        let (told, keys) = answer?;
        // Keys of kinds that are not known are for others.
        let keys = keys.into_iter().filter_map(|key| serde_json::from_value(key).ok());
        let known = Known { keys: keys.collect(), told: Some(Arc::new(told)), came: Some(Instant::now()) };
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = known.clone();
        Ok(known)
    }

    /// The claims of a token that one of these keys signed.
    fn claims(&self, token: &str, header: &Header, audience: &str, keys: &[Jwk]) -> Result<Claims, Unproven> {
        let is_meant = |key: &&Jwk| header.kid.is_none() || key.common.key_id == header.kid;
        let mut unproven = Unproven::Unknown;
        for key in keys.iter().filter(is_meant) {
            let algorithms = algorithms(key);
            if !algorithms.contains(&header.alg) {
                continue;
            }
            let mut validation = Validation::new(header.alg);
            validation.algorithms = algorithms;
            // The time is an argument.
            validation.validate_exp = false;
            validation.set_issuer(&[&self.name]);
            validation.set_audience(&[audience]);
            validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
            let verified = DecodingKey::from_jwk(key).and_then(|key| decode(token, &key, &validation));
            match verified {
                Ok(verified) => return Ok(verified.claims),
                Err(error) if *error.kind() == ErrorKind::InvalidSignature => {}
                Err(error) => unproven = Unproven::Invalid(told(&error, &self.name, audience)),
            }
        }
        Err(unproven)
    }
}

/// Why a token has no claims that count.
enum Unproven {
    /// No key that is known signed it.
    Unknown,
    /// It is not in order.
    Invalid(String),
}

/// Whether a token counts at a time (RFC 7519, 4.1.4 to 4.1.6).
#[expect(
    clippy::cast_possible_truncation,
    reason = "a time that does not fit is far away in either direction"
)]
fn in_its_time(claims: &Claims, now: i64) -> Result<(), &'static str> {
    let time = |claim: &str| claims.get(claim).map(|value| value.as_f64().map(|seconds| seconds as i64));
    match time("exp") {
        Some(Some(end)) if end.saturating_add(LEEWAY) > now => {}
        Some(Some(_)) => return Err("it has expired"),
        Some(None) | None => return Err("it has no `exp` that is a time"),
    }
    for begin in [time("nbf"), time("iat")] {
        match begin {
            Some(Some(begin)) if begin.saturating_sub(LEEWAY) > now => return Err("it does not count yet"),
            Some(None) => return Err("it has a time that is none"),
            Some(Some(_)) | None => {}
        }
    }
    Ok(())
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
fn told(error: &jsonwebtoken::errors::Error, issuer: &str, audience: &str) -> String {
    match error.kind() {
        ErrorKind::InvalidAudience => format!("it is not meant for `{audience}`"),
        ErrorKind::InvalidIssuer => format!("it is not of `{issuer}`"),
        ErrorKind::MissingRequiredClaim(claim) => format!("it has no `{claim}`"),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::Ed25519KeyPair;
    use jsonwebtoken::{EncodingKey, encode};
    use serde_json::json;

    use super::*;

    const ISSUER: &str = "https://issuer.example.org";
    const NOW: i64 = 1_800_000_000;

    fn key() -> (EncodingKey, Value) {
        let pair = Ed25519KeyPair::generate().unwrap();
        let key = EncodingKey::from_ed_der(pair.to_pkcs8v1().unwrap().as_ref());
        let public = serde_json::to_value(Jwk::from_encoding_key(&key, Algorithm::EdDSA).unwrap()).unwrap();
        (key, public)
    }

    /// The verifier of an issuer that was asked just now.
    fn verifier(keys: &[Value]) -> Verifier {
        let verifier = Verifier::new(ISSUER, None).unwrap();
        let keys = keys.iter().map(|key| serde_json::from_value(key.clone()).unwrap()).collect();
        *verifier.known.write().unwrap() = Known { keys, told: None, came: Some(Instant::now()) };
        *verifier.asked.try_lock().unwrap() = Some(Instant::now());
        verifier
    }

    fn claims() -> Value {
        json!({ "iss": ISSUER, "aud": ["other", "l3afd"], "sub": "1", "exp": NOW + 60, "nbf": NOW })
    }

    fn verified(verifier: &Verifier, token: &str) -> Result<Claims, String> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let now = Timestamp::from_second(NOW).unwrap();
        runtime.block_on(verifier.verify(token, "l3afd", now)).map_err(|bad| bad.to_string())
    }

    #[test]
    fn a_token_counts_in_its_time_for_whom_it_is_meant() {
        let (key, public) = key();
        let verifier = verifier(&[public]);
        let good = encode(&Header::new(Algorithm::EdDSA), &claims(), &key).unwrap();
        assert_eq!(verified(&verifier, &good).unwrap()["sub"], "1");
        for (claim, value, words) in [
            ("exp", json!(NOW - 60), "it has expired"),
            ("nbf", json!(NOW + 60), "it does not count yet"),
            ("iat", json!(NOW + 60), "it does not count yet"),
            ("iss", json!("https://evil.example.org"), "it is not of `https://issuer.example.org`"),
            ("aud", json!("other"), "it is not meant for `l3afd`"),
            ("exp", Value::Null, "it has no `exp`"),
            ("aud", Value::Null, "it has no `aud`"),
            ("sub", Value::Null, "it has no `sub`"),
        ] {
            let mut claims = claims();
            let all = claims.as_object_mut().unwrap();
            all.remove(claim);
            all.extend((!value.is_null()).then(|| (claim.to_owned(), value)));
            let token = encode(&Header::new(Algorithm::EdDSA), &claims, &key).unwrap();
            let refused = verified(&verifier, &token).unwrap_err();
            assert!(refused.contains(words), "{refused}");
        }
    }

    #[test]
    fn clocks_may_be_a_little_apart() {
        let at = |exp: i64, nbf: i64| {
            in_its_time(json!({ "exp": exp, "nbf": nbf, "iat": nbf }).as_object().unwrap(), NOW)
        };
        assert_eq!(at(NOW - 29, NOW + 30), Ok(()));
        assert_eq!(at(NOW - 30, NOW), Err("it has expired"));
        assert_eq!(at(NOW, NOW + 31), Err("it does not count yet"));
        assert!(in_its_time(json!({ "exp": "soon" }).as_object().unwrap(), NOW).is_err());
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
            assert!(verified(&verifier(&[public]), &token).unwrap_err().contains("no key of its issuer"));
        }
        let secret = json!({ "kty": "oct", "k": "c2VjcmV0" });
        let symmetric = EncodingKey::from_secret(b"secret");
        let forged = encode(&Header::default(), &claims(), &symmetric.unwrap()).unwrap();
        assert!(
            verified(&verifier(&[secret, public]), &forged).unwrap_err().contains("no key of its issuer")
        );
        assert!(verified(&verifier(&[]), &token).is_err());
    }
}
