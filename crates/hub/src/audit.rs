// SPDX-License-Identifier: Apache-2.0
//! The record of who changed what: rows that are only ever added, each with the digest of the one before it, so that one that
//! was altered or left out later is found. What only reads is not in it.
//!
//! A row is written in the transaction of the change that it tells of. The head is one row whose lock makes others wait: note
//! a change before anything that must not race with another change of the same kind is looked at.

use std::io;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::AnyConnection;
use thiserror::Error;
use utoipa::ToSchema;

use crate::access::Caller;
use crate::{Algorithm, ContentDigest};

/// How many rows are read at a time.
const PAGE: i64 = 500;

/// A change that is being made.
pub(crate) struct Note<'a> {
    pub(crate) now_ms: i64,
    /// Who makes it.
    pub(crate) actor: &'a str,
    /// What is done: `token.create`.
    pub(crate) action: &'static str,
    /// What it is done to.
    pub(crate) subject: &'a str,
    /// What else there is to say; never a secret.
    pub(crate) detail: Value,
}

/// A change that was made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Entry {
    /// From 1, without gaps.
    pub(crate) number: i64,
    /// Milliseconds since 1970.
    pub(crate) at_ms: i64,
    /// The handle of who made it, or what else did.
    pub(crate) actor: String,
    pub(crate) action: String,
    pub(crate) subject: String,
    pub(crate) detail: Value,
    /// The digest of the entry before; empty for the first.
    pub(crate) previous: String,
    /// SHA-256 of the other fields, as a JSON array in this order, in hexadecimal digits.
    pub(crate) digest: String,
}

/// A record is not what was written.
#[derive(Debug, Error)]
pub enum Broken {
    /// The database cannot be read.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    /// The output cannot be written, or the input cannot be read.
    #[error(transparent)]
    Stream(#[from] io::Error),
    /// A line is no entry.
    #[error("line {line} is no entry of a record")]
    Line {
        /// Which, from 1.
        line: usize,
        /// What is wrong.
        #[source]
        source: serde_json::Error,
    },
    /// An entry is missing.
    #[error("entry {expected} is missing: {found} follows")]
    Missing {
        /// Which.
        expected: i64,
        /// What stands there.
        found: i64,
    },
    /// An entry was altered, or does not follow the one before.
    #[error("entry {number} was altered, or is not the one that was written after {}", .number - 1)]
    Altered {
        /// Which.
        number: i64,
    },
    /// The last entries are gone.
    #[error("the record ends with entry {found}, and {expected} were written")]
    Cut {
        /// How many were written.
        expected: i64,
        /// The number of the last.
        found: i64,
    },
}

/// Writes down who makes a change, in its transaction.
///
/// # Errors
/// Those of the database.
pub(crate) async fn note(connection: &mut AnyConnection, note: &Note<'_>) -> sqlx::Result<()> {
    // Whoever has the head has the right to write the next row.
    let head = "UPDATE audit_head SET number = number + 1 WHERE one = 1 RETURNING number, digest";
    let (number, previous): (i64, String) = sqlx::query_as(head).fetch_one(&mut *connection).await?;
    let mut entry = Entry {
        number,
        at_ms: note.now_ms,
        actor: note.actor.to_owned(),
        action: note.action.to_owned(),
        subject: note.subject.to_owned(),
        detail: note.detail.clone(),
        previous,
        digest: String::new(),
    };
    entry.digest = entry.computed();
    let add = "INSERT INTO audit (number, at_ms, actor, action, subject, detail, previous, digest) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    sqlx::query(add)
        .bind(entry.number)
        .bind(entry.at_ms)
        .bind(entry.actor)
        .bind(entry.action)
        .bind(entry.subject)
        .bind(entry.detail.to_string())
        .bind(entry.previous)
        .bind(&entry.digest)
        .execute(&mut *connection)
        .await?;
    let turn = "UPDATE audit_head SET digest = $1 WHERE one = 1";
    sqlx::query(turn).bind(entry.digest).execute(connection).await?;
    Ok(())
}

impl<'a> Note<'a> {
    /// A change that a caller makes.
    pub(crate) fn by(caller: &'a Caller, now_ms: i64, action: &'static str, subject: &'a str) -> Self {
        let actor = match caller {
            Caller::Anonymous => "",
            Caller::Account { handle, .. } => handle,
        };
        Self { now_ms, actor, action, subject, detail: Value::Null }
    }
}

impl Entry {
    fn computed(&self) -> String {
        let fields =
            (self.number, self.at_ms, &self.actor, &self.action, &self.subject, &self.detail, &self.previous);
        let text = serde_json::to_vec(&fields).expect("texts and numbers are JSON");
        ContentDigest::of(Algorithm::Sha256, &text).hex().to_owned()
    }
}

/// The entries after a number, in their order; at most so many.
///
/// # Errors
/// Those of the database.
pub(crate) async fn after(
    connection: &mut AnyConnection,
    number: i64,
    most: i64,
) -> sqlx::Result<Vec<Entry>> {
    type Row = (i64, i64, String, String, String, String, String, String);
    let read = "SELECT number, at_ms, actor, action, subject, detail, previous, digest FROM audit \
                WHERE number > $1 ORDER BY number LIMIT $2";
    let rows: Vec<Row> = sqlx::query_as(read).bind(number).bind(most).fetch_all(connection).await?;
    let entry = |row: Row| {
        let (number, at_ms, actor, action, subject, detail, previous, digest) = row;
        // What is no JSON was altered, which its digest tells.
        let detail = serde_json::from_str(&detail).unwrap_or(Value::String(detail));
        Entry { number, at_ms, actor, action, subject, detail, previous, digest }
    };
    Ok(rows.into_iter().map(entry).collect())
}

/// Looks at one entry after the other.
#[derive(Debug, Default)]
pub(crate) struct Chain {
    number: i64,
    digest: String,
}

impl Chain {
    /// Takes the next entry.
    ///
    /// # Errors
    /// When it is not the next one, as it was written.
    pub(crate) fn follow(&mut self, entry: &Entry) -> Result<(), Broken> {
        let expected = self.number + 1;
        if entry.number != expected {
            return Err(Broken::Missing { expected, found: entry.number });
        }
        if entry.previous != self.digest || entry.digest != entry.computed() {
            return Err(Broken::Altered { number: entry.number });
        }
        self.number = entry.number;
        self.digest.clone_from(&entry.digest);
        Ok(())
    }
}

/// Writes the whole record as lines of JSON, and verifies it on the way.
///
/// # Errors
/// At the first entry that is not what was written, and those of the database and of the output.
pub(crate) async fn export(
    connection: &mut AnyConnection,
    out: &mut impl io::Write,
) -> Result<Chain, Broken> {
    let mut chain = Chain::default();
    let head = "SELECT number, digest FROM audit_head WHERE one = 1";
    let (number, digest): (i64, String) = sqlx::query_as(head).fetch_one(&mut *connection).await?;
    loop {
        let page = after(connection, chain.number, PAGE).await?;
        if page.is_empty() {
            break;
        }
        for entry in &page {
            chain.follow(entry)?;
            serde_json::to_writer(&mut *out, entry).map_err(io::Error::from)?;
            out.write_all(b"\n")?;
        }
    }
    // Some may have been written since the head was read.
    if chain.number < number {
        return Err(Broken::Cut { expected: number, found: chain.number });
    }
    if chain.number == number && chain.digest != digest {
        return Err(Broken::Altered { number });
    }
    Ok(chain)
}

/// Verifies a record that was written as lines of JSON.
///
/// # Errors
/// At the first entry that is not what was written.
pub(crate) fn verify(lines: impl io::BufRead) -> Result<Chain, Broken> {
    let mut chain = Chain::default();
    for (line, text) in (1..).zip(lines.lines()) {
        let entry = serde_json::from_str(&text?).map_err(|source| Broken::Line { line, source })?;
        chain.follow(&entry)?;
    }
    Ok(chain)
}

/// Says how long the record is, and the digest by which another copy of it is known.
impl std::fmt::Display for Chain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} entries, the last with digest `{}`", self.number, self.digest)
    }
}
