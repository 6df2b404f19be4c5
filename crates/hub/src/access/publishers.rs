// SPDX-License-Identifier: Apache-2.0
//! Publishers and their members, in the database.

use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::AnyConnection;
use utoipa::ToSchema;

use super::accounts;
use super::names::{Handle, MemberRole};
use super::refused::Refused;
use crate::audit::{self, Note};
use crate::rebuild;
use crate::registry::PublisherName;

/// Who publishes: an organisation, or a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Publisher {
    pub(crate) name: PublisherName,
    pub(crate) kind: Kind,
    /// What people call it.
    pub(crate) title: String,
    /// Whether its repositories are an ordinary registry: any tags, no packages, no review.
    pub(crate) registry_only: bool,
    /// Whether its repositories are for its members only.
    pub(crate) private: bool,
    /// Whether what it has comes from elsewhere, by a rule of this hub.
    pub(crate) mirrored: bool,
    /// The most bytes that its repositories may hold, where that is not what the hub gives everybody.
    pub(crate) quota_bytes: Option<i64>,
    pub(crate) created_ms: i64,
}

/// Of what kind a publisher is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// Several people, or a project.
    Organisation,
    /// The account that has the same name.
    Person,
}

/// What a publisher is to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewPublisher {
    pub(crate) name: PublisherName,
    /// What people call it.
    #[serde(default)]
    #[schema(max_length = 200)]
    pub(crate) title: String,
}

/// What is to be different about a publisher; what is none stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct PublisherChange {
    /// What people call it.
    #[schema(max_length = 200)]
    pub(crate) title: Option<String>,
    /// Whether its repositories are for its members only.
    pub(crate) private: Option<bool>,
    /// For administrators: whether its repositories are an ordinary registry.
    pub(crate) registry_only: Option<bool>,
    /// For administrators: the most bytes that its repositories may hold.
    #[schema(minimum = 0)]
    pub(crate) quota_bytes: Option<i64>,
}

/// Somebody who belongs to a publisher.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Member {
    pub(crate) handle: Handle,
    pub(crate) role: MemberRole,
    pub(crate) since_ms: i64,
}

type Row = (String, String, String, i64, i64, Option<String>, Option<i64>, i64);

const COLUMNS: &str = "name, kind, title, registry_only, private, mirror, quota_bytes, created_ms";

fn publisher(row: Row) -> Result<Publisher, Refused> {
    let (name, kind, title, registry_only, private, mirror, quota_bytes, created_ms) = row;
    let name = name.parse()?;
    let kind = if kind == Kind::Person.name() { Kind::Person } else { Kind::Organisation };
    let (registry_only, private, mirrored) = (registry_only != 0, private != 0, mirror.is_some());
    Ok(Publisher { name, kind, title, registry_only, private, mirrored, quota_bytes, created_ms })
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Organisation => "organisation",
            Self::Person => "person",
        }
    }
}

/// Founds a publisher, whose first owner is who founds it. With the name of an account only that account does.
///
/// # Errors
/// When somebody has the name.
pub(crate) async fn found(
    connection: &mut AnyConnection,
    new: &NewPublisher,
    founder: (&str, &str),
    now_ms: i64,
) -> Result<Publisher, Refused> {
    check_title(&new.title)?;
    let (account, actor) = founder;
    let name = new.name.as_str();
    let told = Note { now_ms, actor, action: "publisher.create", subject: name, detail: json!(null) };
    audit::note(connection, &told).await?;
    let holder = "SELECT id FROM accounts WHERE handle = $1";
    let holder: Option<(String,)> =
        sqlx::query_as(holder).bind(name).fetch_optional(&mut *connection).await?;
    let taken = || Refused::Taken { name: name.to_owned() };
    let kind = match holder {
        Some((holder,)) if holder != account => return Err(taken()),
        Some(_) => Kind::Person,
        None => Kind::Organisation,
    };
    let add = "INSERT INTO publishers (name, kind, title, created_ms) VALUES ($1, $2, $3, $4) \
               ON CONFLICT (name) DO NOTHING";
    let added = sqlx::query(add).bind(name).bind(kind.name()).bind(&new.title).bind(now_ms);
    if added.execute(&mut *connection).await?.rows_affected() == 0 {
        return Err(taken());
    }
    let member = "INSERT INTO members (publisher, account, role, since_ms) VALUES ($1, $2, 'owner', $3)";
    sqlx::query(member).bind(name).bind(account).bind(now_ms).execute(&mut *connection).await?;
    find(connection, &new.name).await
}

/// The publisher with a name.
pub(crate) async fn find(connection: &mut AnyConnection, name: &PublisherName) -> Result<Publisher, Refused> {
    let read = format!("SELECT {COLUMNS} FROM publishers WHERE name = $1");
    let read = sqlx::query_as::<_, Row>(sqlx::AssertSqlSafe(read)).bind(name.as_str());
    let missing = || Refused::Missing { what: "publisher", name: name.to_string() };
    publisher(read.fetch_optional(connection).await?.ok_or_else(missing)?)
}

/// The publishers whose names come after this one; at most so many.
pub(crate) async fn after(
    connection: &mut AnyConnection,
    name: &str,
    most: i64,
) -> Result<Vec<Publisher>, Refused> {
    let read = format!("SELECT {COLUMNS} FROM publishers WHERE name > $1 ORDER BY name LIMIT $2");
    let read = sqlx::query_as::<_, Row>(sqlx::AssertSqlSafe(read)).bind(name).bind(most);
    read.fetch_all(connection).await?.into_iter().map(publisher).collect()
}

/// Changes a publisher.
pub(crate) async fn change(
    connection: &mut AnyConnection,
    name: &PublisherName,
    change: &PublisherChange,
    actor: &str,
    now_ms: i64,
) -> Result<Publisher, Refused> {
    check_title(change.title.as_deref().unwrap_or_default())?;
    if change.quota_bytes.is_some_and(|quota| quota < 0) {
        return Err(Refused::Invalid("`quota_bytes` is 0 at least".to_owned()));
    }
    let detail = json!(change);
    let told = Note { now_ms, actor, action: "publisher.change", subject: name.as_str(), detail };
    audit::note(connection, &told).await?;
    let before = find(connection, name).await?;
    let after = Publisher {
        title: change.title.clone().unwrap_or(before.title),
        registry_only: change.registry_only.unwrap_or(before.registry_only),
        private: change.private.unwrap_or(before.private),
        quota_bytes: change.quota_bytes.or(before.quota_bytes),
        ..before
    };
    let set = "UPDATE publishers SET title = $2, registry_only = $3, private = $4, quota_bytes = $5 WHERE name = $1";
    sqlx::query(set)
        .bind(name.as_str())
        .bind(&after.title)
        .bind(i64::from(after.registry_only))
        .bind(i64::from(after.private))
        .bind(after.quota_bytes)
        .execute(&mut *connection)
        .await?;
    rebuild::stale_publisher(connection, name.as_str()).await?;
    Ok(after)
}

/// The members whose handles come after this one; at most so many.
pub(crate) async fn members(
    connection: &mut AnyConnection,
    name: &PublisherName,
    handle: &str,
    most: i64,
) -> Result<Vec<Member>, Refused> {
    let read = "SELECT accounts.handle, members.role, members.since_ms FROM members \
                JOIN accounts ON accounts.id = members.account \
                WHERE members.publisher = $1 AND accounts.handle > $2 ORDER BY accounts.handle LIMIT $3";
    let rows: Vec<(String, String, i64)> =
        sqlx::query_as(read).bind(name.as_str()).bind(handle).bind(most).fetch_all(connection).await?;
    let member = |(handle, role, since_ms): (String, String, i64)| {
        Ok(Member { handle: handle.parse()?, role: MemberRole::named(&role), since_ms })
    };
    rows.into_iter().map(member).collect()
}

/// Makes an account a member, or gives a member another role.
///
/// # Errors
/// When there is no such account or publisher, or nobody would own the publisher any more.
pub(crate) async fn set_member(
    connection: &mut AnyConnection,
    name: &PublisherName,
    (handle, role): (&Handle, MemberRole),
    actor: &str,
    now_ms: i64,
) -> Result<Member, Refused> {
    let detail = json!({ "account": handle, "role": role });
    let told = Note { now_ms, actor, action: "member.set", subject: name.as_str(), detail };
    // From here on nobody else changes members.
    audit::note(connection, &told).await?;
    find(connection, name).await?;
    let account = accounts::find(connection, handle).await?;
    if account.closed_ms.is_some() {
        return Err(Refused::Missing { what: "account", name: handle.to_string() });
    }
    let set = "INSERT INTO members (publisher, account, role, since_ms) VALUES ($1, $2, $3, $4) \
               ON CONFLICT (publisher, account) DO UPDATE SET role = $3 RETURNING since_ms";
    let (since_ms,): (i64,) = sqlx::query_as(set)
        .bind(name.as_str())
        .bind(&account.id)
        .bind(role.name())
        .bind(now_ms)
        .fetch_one(&mut *connection)
        .await?;
    check_owned(connection, name, handle).await?;
    Ok(Member { handle: handle.clone(), role, since_ms })
}

/// Takes a member out of a publisher.
///
/// # Errors
/// When it is none, or nobody would own the publisher any more.
pub(crate) async fn remove_member(
    connection: &mut AnyConnection,
    name: &PublisherName,
    handle: &Handle,
    actor: &str,
    now_ms: i64,
) -> Result<(), Refused> {
    let detail = json!({ "account": handle });
    let told = Note { now_ms, actor, action: "member.remove", subject: name.as_str(), detail };
    audit::note(connection, &told).await?;
    let account = accounts::find(connection, handle).await?;
    let remove = "DELETE FROM members WHERE publisher = $1 AND account = $2";
    let removed = sqlx::query(remove).bind(name.as_str()).bind(&account.id).execute(&mut *connection).await?;
    if removed.rows_affected() == 0 {
        return Err(Refused::Missing { what: "member", name: handle.to_string() });
    }
    check_owned(connection, name, handle).await
}

/// Whether a publisher has an owner after a change of a member; else the change is undone.
async fn check_owned(
    connection: &mut AnyConnection,
    name: &PublisherName,
    handle: &Handle,
) -> Result<(), Refused> {
    let count = "SELECT COUNT(*) FROM members JOIN accounts ON accounts.id = members.account \
                 WHERE members.publisher = $1 AND members.role = 'owner' AND accounts.closed_ms IS NULL";
    let (owners,): (i64,) = sqlx::query_as(count).bind(name.as_str()).fetch_one(connection).await?;
    if owners == 0 {
        return Err(Refused::LastOwner { handle: handle.clone(), publisher: name.clone() });
    }
    Ok(())
}

fn check_title(title: &str) -> Result<(), Refused> {
    if title.chars().count() > 200 || title.contains(char::is_control) {
        return Err(Refused::Invalid("a title has 200 characters at most, all on one line".to_owned()));
    }
    Ok(())
}
