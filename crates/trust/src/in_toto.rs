// SPDX-License-Identifier: Apache-2.0
//! In-toto statements (Statement v1): what is stated about which digests, for every kind of statement of this project.

use std::collections::BTreeMap;

use package::Digest;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

use crate::VerifiedPayload;
use crate::json::{self, BadJson};

const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";

/// What one kind of statement states.
pub trait Predicate: Serialize + DeserializeOwned {
    /// The type of the predicate, a URI.
    const TYPE: &'static str;
    /// What a statement of this kind is, in words.
    const WHAT: &'static str;
}

/// An in-toto statement. Fields that are not known are refused: who signed them meant something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Statement<P> {
    #[serde(rename = "_type")]
    kind: String,
    subject: Vec<Subject>,
    predicate_type: String,
    /// What is stated.
    pub predicate: P,
}

/// What a statement is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subject {
    name: String,
    digest: BTreeMap<String, String>,
}

/// A signed payload is not a statement of the kind that it should be.
#[derive(Debug, Error)]
pub enum StatementError {
    /// It is not JSON of the right shape.
    #[error("what was signed is not {what}: {problem}")]
    Shape {
        /// What it should be.
        what: &'static str,
        /// Why it is not.
        problem: serde_json::Error,
    },
    /// It is not JSON, or it is ambiguous.
    #[error("what was signed is not {what}: {problem}")]
    Json {
        /// What it should be.
        what: &'static str,
        /// Why it is not.
        problem: BadJson,
    },
    /// It is a statement of another kind.
    #[error("what was signed is a statement of type `{found}`, not `{wanted}`")]
    Type {
        /// What it is.
        found: String,
        /// What it should be.
        wanted: &'static str,
    },
}

impl Subject {
    /// A digest with a name for people.
    pub fn new(name: impl Into<String>, digest: &Digest) -> Self {
        Self { name: name.into(), digest: sha256(digest) }
    }
}

impl<P: Predicate> Statement<P> {
    /// States something about these subjects.
    pub fn new(subject: Vec<Subject>, predicate: P) -> Self {
        Self { kind: STATEMENT_TYPE.to_owned(), subject, predicate_type: P::TYPE.to_owned(), predicate }
    }

    /// The bytes to sign.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a statement has text keys only")
    }

    /// Reads what was verified.
    ///
    /// # Errors
    /// When it is not a statement of this kind.
    pub fn parse(verified: &VerifiedPayload<'_>) -> Result<Self, StatementError> {
        let value = json::read(verified.payload())
            .map_err(|problem| StatementError::Json { what: P::WHAT, problem })?;
        // The type comes first: what another kind of statement states has another shape.
        for (field, wanted) in [("_type", STATEMENT_TYPE), ("predicateType", P::TYPE)] {
            if let Some(found) = value.get(field).and_then(Value::as_str).filter(|found| *found != wanted) {
                return Err(StatementError::Type { found: found.to_owned(), wanted });
            }
        }
        serde_json::from_value(value).map_err(|problem| StatementError::Shape { what: P::WHAT, problem })
    }

    /// Whether one of the subjects has this digest.
    pub(crate) fn is_about(&self, digest: &Digest) -> bool {
        self.subject.iter().any(|subject| subject.digest == sha256(digest))
    }
}

fn sha256(digest: &Digest) -> BTreeMap<String, String> {
    BTreeMap::from([("sha256".to_owned(), digest.hex())])
}
