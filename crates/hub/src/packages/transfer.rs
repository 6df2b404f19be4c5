// SPDX-License-Identifier: Apache-2.0
//! Packages that go to other publishers: offered by one and accepted by the other, or given by an administrator.
//!
//! What was released stays where it is, by its name and by its digest, since a name is signed and a node trusts whoever signed.
//! So the package goes on as another one, which has another name: new versions are pushed there, signed by the new publisher. No
//! version of the whole line is used twice.

use package::PackageName;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::AnyConnection;
use utoipa::ToSchema;
use uuid::Uuid;

use super::line::moved_to;
use super::untransferred::Untransferred;
use crate::audit::{self, Note};
use crate::events::{self, Event, Kind};
use crate::registry::PublisherName;
use crate::time::rfc3339;
use crate::{mail, rebuild, search};

/// For how long an offer can be accepted.
const OPEN_MS: i64 = 14 * 24 * 60 * 60 * 1000;

/// What a package is to become.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewTransfer {
    /// The publisher that it is offered to.
    pub(super) to: PublisherName,
    /// What it is called there; as here, where it is left out.
    #[serde(default)]
    #[schema(value_type = Option<String>, max_length = 200)]
    pub(super) name: Option<PackageName>,
    /// For administrators: it is done, and nobody is asked.
    #[serde(default)]
    pub(super) at_once: bool,
}

/// An offer of a package to another publisher.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct Transfer {
    pub(super) id: String,
    /// The package, as `publisher/name`.
    pub(super) package: String,
    /// What it becomes, as `publisher/name`.
    pub(super) to: String,
    /// `offered`, `accepted`, `withdrawn` or `expired`.
    pub(super) state: String,
    pub(super) offered_by: String,
    /// When it was offered (RFC 3339).
    pub(super) offered: String,
    /// Until when it can be accepted (RFC 3339).
    pub(super) expires: String,
    /// Who accepted it, or withdrew it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ended_by: Option<String>,
}

/// A package, and what it is to become.
#[derive(Debug, Clone)]
pub(super) struct Move {
    pub(super) publisher: String,
    pub(super) name: String,
    pub(super) to: String,
    pub(super) new_name: String,
}

/// Who makes a change, and when.
pub(super) type By<'a> = (&'a str, i64);

/// Offers a package. An offer that was made before is withdrawn by that.
pub(super) async fn offer(
    connection: &mut AnyConnection,
    wanted: &Move,
    by: By<'_>,
) -> Result<Transfer, Untransferred> {
    note(connection, "package.offer", wanted, by).await?;
    let package = movable(connection, wanted).await?;
    let old = "UPDATE transfers SET state = 'withdrawn', ended_by = $2, ended_ms = $3 WHERE package = $1 AND state = 'offered'";
    sqlx::query(old).bind(&package).bind(by.0).bind(by.1).execute(&mut *connection).await?;
    let (subject, text) = (
        format!("{} is offered to `{}`", wanted.from(), wanted.to),
        format!(
            "`{}` offers {} to `{}`, where it would go on as {}. An owner accepts within 14 days:\n\n\
             {{hub}}/api/v1/transfers?publisher={}\n",
            by.0,
            wanted.from(),
            wanted.to,
            wanted.there(),
            wanted.to
        ),
    );
    mail::owners(connection, &wanted.to, (&subject, &text), by.1).await?;
    insert(connection, (&package, wanted), "offered", by).await
}

/// Gives a package to a publisher, whom nobody asks.
pub(super) async fn give(
    connection: &mut AnyConnection,
    wanted: &Move,
    by: By<'_>,
) -> Result<Transfer, Untransferred> {
    note(connection, "package.transfer", wanted, by).await?;
    let package = movable(connection, wanted).await?;
    let given = insert(connection, (&package, wanted), "accepted", by).await?;
    complete(connection, (&package, wanted), by.1).await?;
    Ok(given)
}

/// Accepts an offer: from then on the package goes on under its new name.
pub(super) async fn accept(
    connection: &mut AnyConnection,
    id: &str,
    by: By<'_>,
) -> Result<Transfer, Untransferred> {
    let (wanted, transfer) = find(connection, id, by.1).await?;
    note(connection, "package.transfer", &wanted, by).await?;
    if !go(connection, id, "accepted", by).await? || transfer.state != "offered" {
        return Err(Untransferred::Over { state: transfer.state });
    }
    let package = movable(connection, &wanted).await?;
    complete(connection, (&package, &wanted), by.1).await?;
    Ok(find(connection, id, by.1).await?.1)
}

/// Withdraws an offer, or declines it.
pub(super) async fn withdraw(
    connection: &mut AnyConnection,
    id: &str,
    by: By<'_>,
) -> Result<(), Untransferred> {
    let (wanted, transfer) = find(connection, id, by.1).await?;
    note(connection, "package.withdraw", &wanted, by).await?;
    if go(connection, id, "withdrawn", by).await? {
        return Ok(());
    }
    Err(Untransferred::Over { state: transfer.state })
}

/// Ends an offer, unless that was done.
async fn go(connection: &mut AnyConnection, id: &str, state: &str, by: By<'_>) -> sqlx::Result<bool> {
    let end =
        "UPDATE transfers SET state = $2, ended_by = $3, ended_ms = $4 WHERE id = $1 AND state = 'offered'";
    let end = sqlx::query(end).bind(id).bind(state).bind(by.0).bind(by.1);
    Ok(end.execute(connection).await?.rows_affected() == 1)
}

/// An offer by its id.
pub(super) async fn find(
    connection: &mut AnyConnection,
    id: &str,
    now_ms: i64,
) -> Result<(Move, Transfer), Untransferred> {
    let row = sqlx::query_as::<_, Row>(sqlx::AssertSqlSafe(format!("{SELECT} WHERE t.id = $1"))).bind(id);
    let row = row.fetch_optional(connection).await?;
    row.map(|row| read(row, now_ms)).ok_or_else(|| Untransferred::Missing { id: id.to_owned() })
}

/// The offers from a publisher, and to it, after one; of all publishers, where none is named.
pub(super) async fn after(
    connection: &mut AnyConnection,
    publisher: Option<&str>,
    (after, most): (&str, i64),
    now_ms: i64,
) -> sqlx::Result<Vec<Transfer>> {
    let select = format!(
        "{SELECT} WHERE t.id > $1 AND ($2 = '' OR p.publisher = $2 OR t.publisher = $2) ORDER BY t.id LIMIT $3"
    );
    let rows = sqlx::query_as::<_, Row>(sqlx::AssertSqlSafe(select)).bind(after);
    let rows = rows.bind(publisher.unwrap_or_default()).bind(most).fetch_all(connection).await?;
    Ok(rows.into_iter().map(|row| read(row, now_ms).1).collect())
}

type Row = (String, String, String, String, String, String, String, i64, i64, Option<String>);

const SELECT: &str = "SELECT t.id, p.publisher, p.name, t.publisher, t.name, t.state, t.offered_by, t.offered_ms, \
                      t.expires_ms, t.ended_by FROM transfers t JOIN packages p ON p.id = t.package";

fn read(row: Row, now_ms: i64) -> (Move, Transfer) {
    let (id, publisher, name, to, new_name, state, offered_by, offered_ms, expires_ms, ended_by) = row;
    let state = if state == "offered" && expires_ms <= now_ms { "expired".to_owned() } else { state };
    let transfer = Transfer {
        id,
        package: format!("{publisher}/{name}"),
        to: format!("{to}/{new_name}"),
        state,
        offered_by,
        offered: rfc3339(offered_ms),
        expires: rfc3339(expires_ms),
        ended_by,
    };
    (Move { publisher, name, to, new_name }, transfer)
}

async fn insert(
    connection: &mut AnyConnection,
    (package, wanted): (&str, &Move),
    state: &str,
    (actor, now_ms): By<'_>,
) -> Result<Transfer, Untransferred> {
    let id = Uuid::now_v7().to_string();
    let ended = (state != "offered").then_some(now_ms);
    let insert = "INSERT INTO transfers (id, package, publisher, name, offered_by, offered_ms, expires_ms, state, ended_by, \
                  ended_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
    let insert = sqlx::query(insert).bind(&id).bind(package).bind(&wanted.to).bind(&wanted.new_name);
    let insert = insert.bind(actor).bind(now_ms).bind(now_ms + OPEN_MS).bind(state);
    insert.bind(ended.map(|_| actor)).bind(ended).execute(&mut *connection).await?;
    Ok(find(connection, &id, now_ms).await?.1)
}

/// The id of a package that may become what is wanted.
async fn movable(connection: &mut AnyConnection, wanted: &Move) -> Result<String, Untransferred> {
    let Move { publisher, name, to, new_name } = wanted;
    let package = "SELECT id FROM packages WHERE publisher = $1 AND name = $2";
    let package = sqlx::query_scalar(package).bind(publisher).bind(name).fetch_optional(&mut *connection);
    let missing = || Untransferred::NoPackage { package: wanted.from() };
    let package: String = package.await?.ok_or_else(missing)?;
    if let Some(there) = moved_to(connection, publisher, name).await? {
        return Err(Untransferred::Moved { package: wanted.from(), to: there });
    }
    let target = "SELECT registry_only FROM publishers WHERE name = $1";
    let target = sqlx::query_scalar::<_, i64>(target).bind(to).fetch_optional(&mut *connection).await?;
    if target != Some(0) || publisher == to {
        return Err(Untransferred::Publisher { publisher: to.clone() });
    }
    let taken = "SELECT 1 FROM repositories WHERE publisher = $1 AND name = $2 UNION ALL \
                 SELECT 1 FROM packages WHERE publisher = $1 AND name = $2";
    let taken = sqlx::query(taken).bind(to).bind(new_name).fetch_optional(&mut *connection).await?;
    if taken.is_some() {
        return Err(Untransferred::Taken { name: wanted.there() });
    }
    let waiting = "SELECT version FROM releases WHERE package = $1 AND state IN ('pending', 'checking', 'review', 'changes-asked')";
    let waiting: Vec<String> = sqlx::query_scalar(waiting).bind(&package).fetch_all(connection).await?;
    if waiting.is_empty() {
        return Ok(package);
    }
    Err(Untransferred::Waiting { package: wanted.from(), versions: waiting.join(", ") })
}

/// Has a package go on as another one.
async fn complete(
    connection: &mut AnyConnection,
    (package, wanted): (&str, &Move),
    now_ms: i64,
) -> sqlx::Result<()> {
    let Move { publisher, name, to, new_name } = wanted;
    let id = Uuid::now_v7().to_string();
    let insert = "INSERT INTO packages (id, publisher, name, created_ms) VALUES ($1, $2, $3, $4)";
    let insert = sqlx::query(insert).bind(&id).bind(to).bind(new_name).bind(now_ms);
    insert.execute(&mut *connection).await?;
    // Nobody else can take the name before the first push.
    let repository = "INSERT INTO repositories (id, publisher, name, public, created_ms) SELECT $1, $2, $3, public, $4 \
                      FROM repositories WHERE publisher = $5 AND name = $6";
    let repository = sqlx::query(repository).bind(Uuid::now_v7().to_string()).bind(to).bind(new_name);
    repository.bind(now_ms).bind(publisher).bind(name).execute(&mut *connection).await?;
    let set = sqlx::query("UPDATE packages SET moved_to = $2 WHERE id = $1").bind(package).bind(&id);
    set.execute(&mut *connection).await?;
    rebuild::stale_publisher(connection, publisher).await?;
    rebuild::stale_publisher(connection, to).await?;
    search::index(connection, &id).await?;
    let (from, there) = (wanted.from(), wanted.there());
    let (left, came) = (format!("{from} goes on as {there}"), format!("{there} was {from} before"));
    for owner in [publisher, to] {
        let text = format!("{left}: new versions are pushed there, and signed by `{to}`.\n");
        mail::owners(connection, owner, (&left, &text), now_ms).await?;
    }
    for (publisher, package, text) in [(publisher, name, left), (to, new_name, came)] {
        let event =
            Event { kind: Kind::Transferred, publisher, package, version: "*", digest: None, text: &text };
        events::tell(connection, &event, now_ms).await?;
    }
    Ok(())
}

async fn note(
    connection: &mut AnyConnection,
    action: &'static str,
    wanted: &Move,
    (actor, now_ms): By<'_>,
) -> sqlx::Result<()> {
    let (subject, detail) = (wanted.from(), json!({ "to": wanted.there() }));
    audit::note(connection, &Note { now_ms, actor, action, subject: &subject, detail }).await
}

impl Move {
    fn from(&self) -> String {
        format!("{}/{}", self.publisher, self.name)
    }

    fn there(&self) -> String {
        format!("{}/{}", self.to, self.new_name)
    }
}
