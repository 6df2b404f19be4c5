// SPDX-License-Identifier: Apache-2.0
//! Short-lived tokens that the hub signs (JSON Web Tokens, RFC 7519): whoever has one asks the database for nothing but what
//! may have changed since.
//!
//! Replicas share the keys through the database. A key never changes, so what is remembered of one stays true.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::FutureExt as _;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, decode_header, encode};
use serde::{Deserialize, Serialize};
use sqlx::AnyConnection;
use uuid::Uuid;

use super::scope::{Scope, Verb};
use crate::Database;

/// For how long a token counts, in seconds: the protocol asks for a minute at least.
pub(super) const LIFETIME_S: i64 = 5 * 60;
/// For how long a key signs, in milliseconds.
const ROTATE_MS: i64 = 7 * 24 * 60 * 60 * 1000;
/// The longest token that is looked at.
const LONGEST: usize = 16 * 1024;

/// What signs and proves tokens.
pub(super) struct Keys {
    /// Who signs and who is meant: the address of the hub.
    url: String,
    known: RwLock<BTreeMap<String, Arc<Key>>>,
}

struct Key {
    id: String,
    secret: Vec<u8>,
    created_ms: i64,
}

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Claims {
    iss: String,
    aud: String,
    /// The id of the account; empty where nobody logged in.
    pub(super) sub: String,
    /// The handle of the account.
    pub(super) name: String,
    iat: i64,
    nbf: i64,
    exp: i64,
    /// What it is for, as the token protocol of the distribution project writes it.
    pub(super) access: Vec<Granted>,
}

/// What may be done in a repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Granted {
    #[serde(rename = "type")]
    kind: String,
    name: String,
    actions: Vec<String>,
}

impl Granted {
    pub(super) fn new(name: String, verbs: &[Verb]) -> Self {
        let actions = verbs.iter().map(|verb| verb.name().to_owned()).collect();
        Self { kind: "repository".to_owned(), name, actions }
    }

    pub(super) fn scope(&self) -> Scope {
        let verbs = self.actions.iter().filter_map(|action| Verb::named(action)).collect();
        Scope::Repository { like: self.name.clone(), verbs }
    }
}

impl Keys {
    pub(super) fn new(url: String) -> Self {
        Self { url, known: RwLock::default() }
    }

    /// Signs a token for an account, or for nobody.
    ///
    /// # Errors
    /// Those of the database.
    pub(super) async fn sign(
        &self,
        database: &Database,
        (account, handle): (&str, &str),
        access: Vec<Granted>,
        now_ms: i64,
    ) -> sqlx::Result<String> {
        let key = self.current(database, now_ms).await?;
        let now = now_ms / 1000;
        let claims = Claims {
            iss: self.url.clone(),
            aud: self.url.clone(),
            sub: account.to_owned(),
            name: handle.to_owned(),
            iat: now,
            nbf: now,
            exp: now + LIFETIME_S,
            access,
        };
        let header = Header { kid: Some(key.id.clone()), ..Header::new(Algorithm::HS256) };
        let secret = EncodingKey::from_secret(&key.secret);
        Ok(secret.and_then(|secret| encode(&header, &claims, &secret)).expect("claims are JSON"))
    }

    /// What a token says that this hub signed and that counts now; else why it does not.
    ///
    /// # Errors
    /// Those of the database.
    pub(super) async fn prove(
        &self,
        database: &Database,
        token: &str,
        now_ms: i64,
    ) -> sqlx::Result<Result<Claims, &'static str>> {
        const FORGED: &str = "this hub did not sign the token";
        let header = if token.len() > LONGEST { None } else { decode_header(token).ok() };
        let Some(id) = header.and_then(|header| header.kid) else { return Ok(Err(FORGED)) };
        let Some(key) = self.find(database, &id).await? else { return Ok(Err(FORGED)) };
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_issuer(&[&self.url]);
        validation.set_audience(&[&self.url]);
        // The time is an argument.
        validation.validate_exp = false;
        let secret = DecodingKey::from_secret(&key.secret);
        let claims = secret.and_then(|secret| decode::<Claims>(token, &secret, &validation));
        let now = now_ms / 1000;
        Ok(match claims {
            Ok(proven) if proven.claims.exp <= now => Err("the token has expired"),
            Ok(proven) => Ok(proven.claims),
            Err(_) => Err(FORGED),
        })
    }

    /// The key that signs now: the newest there is, or a new one.
    async fn current(&self, database: &Database, now_ms: i64) -> sqlx::Result<Arc<Key>> {
        let is_young = |key: &Key| key.created_ms + ROTATE_MS > now_ms;
        let known = {
            let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
            known.values().filter(|key| is_young(key)).max_by_key(|key| key.created_ms).cloned()
        };
        if let Some(key) = known {
            return Ok(key);
        }
        let kept = database.write(move |connection| renew(connection, now_ms).boxed()).await?;
        Ok(self.remember(kept))
    }

    async fn find(&self, database: &Database, id: &str) -> sqlx::Result<Option<Arc<Key>>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned();
        if known.is_some() {
            return Ok(known);
        }
        let read = "SELECT id, secret, created_ms FROM signing_keys WHERE id = $1";
        let row: Option<(String, String, i64)> =
            sqlx::query_as(read).bind(id).fetch_optional(database.readers()).await?;
        Ok(row.map(|row| self.remember(key(row))))
    }

    fn remember(&self, key: Key) -> Arc<Key> {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        // Keys that sign nothing any more prove nothing for much longer.
        known.retain(|_, known| known.created_ms + 2 * ROTATE_MS > key.created_ms);
        Arc::clone(known.entry(key.id.clone()).or_insert_with(|| Arc::new(key)))
    }
}

fn key((id, secret, created_ms): (String, String, i64)) -> Key {
    // One that cannot be read proves nothing.
    Key { id, secret: STANDARD.decode(secret).unwrap_or_default(), created_ms }
}

/// The newest key that may sign, made if there is none. Two replicas may make one each, and both count.
async fn renew(connection: &mut AnyConnection, now_ms: i64) -> sqlx::Result<Key> {
    let read = "SELECT id, secret, created_ms FROM signing_keys WHERE created_ms > $1 ORDER BY created_ms DESC LIMIT 1";
    let young: Option<(String, String, i64)> =
        sqlx::query_as(read).bind(now_ms - ROTATE_MS).fetch_optional(&mut *connection).await?;
    if let Some(row) = young {
        return Ok(key(row));
    }
    let mut secret = vec![0; 32];
    rand::fill(&mut secret).expect("the kernel gives random bytes");
    let id = Uuid::now_v7().to_string();
    let old = "DELETE FROM signing_keys WHERE created_ms < $1";
    sqlx::query(old).bind(now_ms - 2 * ROTATE_MS).execute(&mut *connection).await?;
    let add = "INSERT INTO signing_keys (id, secret, created_ms) VALUES ($1, $2, $3)";
    sqlx::query(add).bind(&id).bind(STANDARD.encode(&secret)).bind(now_ms).execute(connection).await?;
    Ok(Key { id, secret, created_ms: now_ms })
}
