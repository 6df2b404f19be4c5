// SPDX-License-Identifier: Apache-2.0
//! Letters as rows: what is to be sent, what was, and what cannot be.

use serde::Serialize;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row as _};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::time::rfc3339;

/// How long to wait after each attempt, in seconds; behind the last it is given up.
const WAITS_S: [i64; 8] = [10, 60, 300, 1800, 7200, 21_600, 43_200, 86_400];
/// The longest subject, in letters.
const LONGEST: usize = 180;

/// A letter that is to be sent.
#[derive(Debug, Clone)]
pub(super) struct Letter<'a> {
    pub(super) account: &'a str,
    pub(super) recipient: &'a str,
    /// A [`Kind`](super::Kind), or `confirmation`.
    pub(super) kind: &'a str,
    pub(super) subject: &'a str,
    /// Plain text. `{hub}` stands for how the hub is reached.
    pub(super) text: &'a str,
}

/// A letter that is due.
#[derive(Debug, Clone)]
pub(super) struct Due {
    pub(super) id: String,
    pub(super) recipient: String,
    pub(super) subject: String,
    pub(super) text: String,
    attempts: i64,
}

/// A letter, as administrators see it: what is in it is nobody else's.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct Sent {
    pub(super) id: String,
    recipient: String,
    kind: String,
    subject: String,
    /// `waiting`, `sent` or `dead`.
    state: String,
    attempts: i64,
    /// When it was written (RFC 3339).
    written: String,
    /// When it is tried next.
    #[serde(skip_serializing_if = "Option::is_none")]
    due: Option<String>,
    /// What the server said last, where it did not take it.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

/// Puts a letter into the queue, in the transaction of what it tells of.
pub(super) async fn put(
    connection: &mut AnyConnection,
    letter: &Letter<'_>,
    now_ms: i64,
) -> sqlx::Result<()> {
    let insert = "INSERT INTO mails (id, account, recipient, kind, subject, body, created_ms, due_ms) \
                  VALUES ($1, $2, $3, $4, $5, $6, $7, $7)";
    let insert = sqlx::query(insert).bind(Uuid::now_v7().to_string()).bind(letter.account);
    let insert = insert.bind(letter.recipient).bind(letter.kind).bind(one_line(letter.subject));
    insert.bind(letter.text).bind(now_ms).execute(connection).await.map(drop)
}

/// A text as one line of a header: nothing in it begins another one.
pub(super) fn one_line(text: &str) -> String {
    let plain = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter });
    plain.take(LONGEST).collect()
}

/// The letters that are due, those first that wait longest.
pub(super) async fn due(connection: &mut AnyConnection, most: i64, now_ms: i64) -> sqlx::Result<Vec<Due>> {
    let select = "SELECT id, recipient, subject, body, attempts FROM mails WHERE due_ms <= $1 ORDER BY due_ms, id LIMIT $2";
    let rows = sqlx::query_as(select).bind(now_ms).bind(most).fetch_all(connection).await?;
    let due = |(id, recipient, subject, text, attempts)| Due { id, recipient, subject, text, attempts };
    Ok(rows.into_iter().map(due).collect())
}

impl Due {
    /// Takes this attempt by moving the next one; false where another hub did.
    pub(super) async fn claim(&self, connection: &mut AnyConnection, now_ms: i64) -> sqlx::Result<bool> {
        let wait = usize::try_from(self.attempts).ok().and_then(|attempt| WAITS_S.get(attempt));
        let claim = "UPDATE mails SET attempts = attempts + 1, due_ms = $3 \
                     WHERE id = $1 AND attempts = $2 AND due_ms IS NOT NULL";
        let claim = sqlx::query(claim).bind(&self.id).bind(self.attempts);
        let claim = claim.bind(wait.map(|seconds| now_ms + seconds * 1000)).execute(connection).await?;
        Ok(claim.rows_affected() == 1)
    }

    /// Notes that the server took it. What was in it is kept no longer.
    pub(super) async fn arrived(&self, connection: &mut AnyConnection, now_ms: i64) -> sqlx::Result<()> {
        let set = "UPDATE mails SET due_ms = NULL, sent_ms = $2, problem = NULL, body = '' WHERE id = $1";
        sqlx::query(set).bind(&self.id).bind(now_ms).execute(connection).await.map(drop)
    }

    /// Notes that the server did not take it; for good, where it is never tried again.
    pub(super) async fn failed(
        &self,
        connection: &mut AnyConnection,
        (problem, for_good): (&str, bool),
    ) -> sqlx::Result<()> {
        let set = "UPDATE mails SET problem = $2, due_ms = CASE WHEN $3 = 1 THEN NULL ELSE due_ms END WHERE id = $1";
        let set = sqlx::query(set).bind(&self.id).bind(one_line(problem)).bind(i64::from(for_good));
        set.execute(connection).await.map(drop)
    }
}

/// The condition of a state.
fn condition(state: &str) -> Option<&'static str> {
    match state {
        "" => Some("1 = 1"),
        "waiting" => Some("due_ms IS NOT NULL"),
        "sent" => Some("sent_ms IS NOT NULL"),
        "dead" => Some("due_ms IS NULL AND sent_ms IS NULL"),
        _ => None,
    }
}

/// The letters after one, the oldest first; none where there is no such state.
pub(super) async fn after(
    connection: &mut AnyConnection,
    state: &str,
    (after, most): (&str, i64),
) -> sqlx::Result<Option<Vec<Sent>>> {
    let Some(condition) = condition(state) else { return Ok(None) };
    let select = format!(
        "SELECT id, recipient, kind, subject, attempts, created_ms, due_ms, sent_ms, problem FROM mails \
         WHERE id > $1 AND {condition} ORDER BY id LIMIT $2"
    );
    let rows = sqlx::query(sqlx::AssertSqlSafe(select)).bind(after).bind(most).fetch_all(connection).await?;
    rows.iter().map(sent).collect::<sqlx::Result<Vec<_>>>().map(Some)
}

fn sent(row: &AnyRow) -> sqlx::Result<Sent> {
    let (due_ms, sent_ms): (Option<i64>, Option<i64>) = (row.try_get(6)?, row.try_get(7)?);
    let state = match (due_ms, sent_ms) {
        (_, Some(_)) => "sent",
        (Some(_), None) => "waiting",
        (None, None) => "dead",
    };
    Ok(Sent {
        id: row.try_get(0)?,
        recipient: row.try_get(1)?,
        kind: row.try_get(2)?,
        subject: row.try_get(3)?,
        state: state.to_owned(),
        attempts: row.try_get(4)?,
        written: rfc3339(row.try_get(5)?),
        due: due_ms.map(rfc3339),
        problem: row.try_get(8)?,
    })
}

/// Has a letter tried again that was given up. Returns whether there is one.
pub(super) async fn revive(connection: &mut AnyConnection, id: &str, now_ms: i64) -> sqlx::Result<bool> {
    let set =
        "UPDATE mails SET due_ms = $2, attempts = 0 WHERE id = $1 AND due_ms IS NULL AND sent_ms IS NULL";
    let set = sqlx::query(set).bind(id).bind(now_ms).execute(connection).await?;
    Ok(set.rows_affected() == 1)
}

/// Forgets letters that are done with and old.
pub(super) async fn tidy(connection: &mut AnyConnection, before_ms: i64) -> sqlx::Result<()> {
    let delete = sqlx::query("DELETE FROM mails WHERE due_ms IS NULL AND created_ms < $1").bind(before_ms);
    delete.execute(connection).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::{LONGEST, one_line};

    #[test]
    fn nothing_in_a_subject_begins_another_header() {
        assert_eq!(one_line("a\r\nBcc: eve@example.org"), "a  Bcc: eve@example.org");
        assert_eq!(one_line(&"é".repeat(LONGEST + 1)).chars().count(), LONGEST);
    }
}
