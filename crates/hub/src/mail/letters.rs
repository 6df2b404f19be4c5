// SPDX-License-Identifier: Apache-2.0
//! Who is told what. Texts are plain, and name calls and commands that lead further.

use sqlx::AnyConnection;
use wire::hub::{ReviewPolicy, State};

use super::Kind;
use super::outbox::{self, Letter};
use crate::packages::Release;

/// Accounts that can be mailed, as `d` and `a`; what follows says which.
const WHO: &str = "SELECT d.account, d.address, d.unwanted FROM addresses d JOIN accounts a ON a.id = d.account \
                   WHERE d.confirmed_ms IS NOT NULL AND a.closed_ms IS NULL AND ";

type Reader = (String, String, String);

/// What somebody reported.
pub(crate) struct Reported<'a> {
    pub(crate) id: &'a str,
    pub(crate) class: &'a str,
    pub(crate) subject: &'a str,
    pub(crate) text: &'a str,
}

/// Tells reviewers that a release waits for them: those who may decide, by the policy that counts for it.
///
/// # Errors
/// When the database fails.
pub(crate) async fn waits(
    connection: &mut AnyConnection,
    release: &Release,
    policy: ReviewPolicy,
    now_ms: i64,
) -> sqlx::Result<()> {
    let select = format!(
        "{WHO}(a.role IN ('reviewer', 'administrator') OR EXISTS (SELECT 1 FROM members m WHERE m.account = a.id \
         AND m.publisher = $1 AND m.role IN ('reviewer', 'owner'))) AND ($2 = 1 OR (a.id <> $3 AND NOT EXISTS \
         (SELECT 1 FROM members m WHERE m.account = a.id AND m.publisher = $1))) ORDER BY d.account"
    );
    let readers = sqlx::query_as(sqlx::AssertSqlSafe(select)).bind(&release.publisher);
    let readers = readers.bind(i64::from(policy.own)).bind(release.pushed_by.as_deref().unwrap_or_default());
    let readers: Vec<Reader> = readers.fetch_all(&mut *connection).await?;
    let Release { publisher, name, version, .. } = release;
    let subject = format!("{} waits for a review", release.title());
    let text = format!(
        "{} passed the checks and waits for {} approval(s).\n\n\
         What was found:  {{hub}}/api/v1/packages/{publisher}/{name}/versions/{version}/checks\n\
         To look at it:   l3af review show HOST/{publisher}/{name}:{version}\n\
         To decide:       l3af review approve | reject | changes HOST/{publisher}/{name}:{version} --key KEY\n",
        release.title(),
        policy.approvals
    );
    each(connection, readers, (Kind::Reviews, &subject, &text), now_ms).await
}

/// Tells who pushed a release what became of it.
///
/// # Errors
/// When the database fails.
pub(crate) async fn decided(
    connection: &mut AnyConnection,
    release: &Release,
    state: State,
    now_ms: i64,
) -> sqlx::Result<()> {
    let Some(account) = &release.pushed_by else { return Ok(()) };
    let what = match state {
        State::Released => "was released: everybody can have it",
        State::Rejected => "was rejected; its bytes are refused under any name",
        State::ChangesAsked => "waits for changes",
        State::Pending
        | State::Checking
        | State::Review
        | State::Yanked
        | State::Deleted
        | State::TakenDown => {
            return Ok(());
        }
    };
    let Release { publisher, name, version, .. } = release;
    let subject = format!("{} {what}", release.title());
    let reason = release.reason.as_deref().map(|reason| format!("\n\n{reason}")).unwrap_or_default();
    let text = format!(
        "{} {what}.{reason}\n\nReviews: {{hub}}/api/v1/packages/{publisher}/{name}/versions/{version}/reviews\n",
        release.title()
    );
    let readers = account_of(connection, account).await?;
    each(connection, readers, (Kind::Decisions, &subject, &text), now_ms).await
}

/// Tells administrators that something was reported.
///
/// # Errors
/// When the database fails.
pub(crate) async fn reported(
    connection: &mut AnyConnection,
    report: &Reported<'_>,
    now_ms: i64,
) -> sqlx::Result<()> {
    let Reported { id, class, subject, text } = report;
    let select = format!("{WHO}a.role = 'administrator' ORDER BY d.account");
    let readers: Vec<Reader> =
        sqlx::query_as(sqlx::AssertSqlSafe(select)).fetch_all(&mut *connection).await?;
    let line = format!("Reported: {subject} ({class})");
    let text = format!(
        "Somebody reported the {subject} as {class}:\n\n{text}\n\nThe report: {{hub}}/api/v1/reports/{id}\n"
    );
    each(connection, readers, (Kind::Reports, &line, &text), now_ms).await
}

/// Tells who reported something what became of it.
///
/// # Errors
/// When the database fails.
pub(crate) async fn resolved(
    connection: &mut AnyConnection,
    (account, subject): (&str, &str),
    (outcome, answer): (&str, &str),
    now_ms: i64,
) -> sqlx::Result<()> {
    let readers = account_of(connection, account).await?;
    let line = format!("Your report of {subject}: {outcome}");
    let text = format!("What you reported of {subject} was looked into: {outcome}.\n\n{answer}\n");
    each(connection, readers, (Kind::Reports, &line, &text), now_ms).await
}

/// Tells the owners of a publisher something.
///
/// # Errors
/// When the database fails.
pub(crate) async fn owners(
    connection: &mut AnyConnection,
    publisher: &str,
    (subject, text): (&str, &str),
    now_ms: i64,
) -> sqlx::Result<()> {
    let select = format!(
        "{WHO}EXISTS (SELECT 1 FROM members m WHERE m.account = a.id AND m.publisher = $1 AND m.role = 'owner') \
         ORDER BY d.account"
    );
    let readers = sqlx::query_as(sqlx::AssertSqlSafe(select)).bind(publisher);
    let readers: Vec<Reader> = readers.fetch_all(&mut *connection).await?;
    each(connection, readers, (Kind::Publishers, subject, text), now_ms).await
}

async fn account_of(connection: &mut AnyConnection, account: &str) -> sqlx::Result<Vec<Reader>> {
    let select = format!("{WHO}a.id = $1");
    sqlx::query_as(sqlx::AssertSqlSafe(select)).bind(account).fetch_all(connection).await
}

/// Writes to each who wants it.
async fn each(
    connection: &mut AnyConnection,
    readers: Vec<Reader>,
    (kind, subject, text): (Kind, &str, &str),
    now_ms: i64,
) -> sqlx::Result<()> {
    for (account, recipient, unwanted) in readers {
        let unwanted: Vec<Kind> = serde_json::from_str(&unwanted).unwrap_or_default();
        if unwanted.contains(&kind) {
            continue;
        }
        let letter = Letter { account: &account, recipient: &recipient, kind: kind.name(), subject, text };
        outbox::put(connection, &letter, now_ms).await?;
    }
    Ok(())
}
