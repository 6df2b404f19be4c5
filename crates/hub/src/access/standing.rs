// SPDX-License-Identifier: Apache-2.0
//! What the database says of a caller and of what it asks for, as far as policies look at it. One question, by indices, since
//! every request asks it.

use sqlx::AnyConnection;

use super::action::{Action, Resource};
use super::caller::Caller;
use super::denied::{Denied, Why};
use super::names::{MemberRole, Role};
use super::rules::Question;

/// Asks what policies look at.
///
/// # Errors
/// When the account was closed, or the database does not answer.
pub(super) async fn question(
    connection: &mut AnyConnection,
    caller: &Caller,
    action: Action,
    resource: Resource,
) -> Result<Question, Denied> {
    match caller {
        Caller::Anonymous => {
            let public = is_public(connection, &resource).await?;
            Ok(Question { handle: String::new(), role: None, member: None, action, resource, public })
        }
        Caller::Account { id, handle, .. } => {
            let refuse = |why| Denied::Rule {
                caller: handle.clone(),
                action,
                resource: resource.clone(),
                why,
                is_anonymous: false,
            };
            let found = standing(connection, id, &resource).await?.ok_or_else(|| refuse(Why::Closed))?;
            let (handle, role, member, public) = found;
            Ok(Question { handle, role: Some(role), member, action, resource, public })
        }
    }
}

async fn is_public(connection: &mut AnyConnection, resource: &Resource) -> sqlx::Result<bool> {
    let Resource::Repository(place) = resource else { return Ok(false) };
    let read = "SELECT repositories.public FROM repositories JOIN publishers ON publishers.name = repositories.publisher \
                WHERE repositories.publisher = $1 AND repositories.name = $2 AND publishers.private = 0";
    let public: Option<(i64,)> = sqlx::query_as(read)
        .bind(&place.publisher)
        .bind(&place.repository)
        .fetch_optional(connection)
        .await?;
    Ok(public.is_some_and(|(public,)| public != 0))
}

/// The handle and role of an account, its role in the publisher, and whether the repository is public; none where the account
/// is closed.
async fn standing(
    connection: &mut AnyConnection,
    account: &str,
    resource: &Resource,
) -> sqlx::Result<Option<(String, Role, Option<MemberRole>, bool)>> {
    let (publisher, repository) = match resource {
        Resource::Hub => ("", ""),
        Resource::Publisher(name) => (name.as_str(), ""),
        Resource::Repository(place) => (place.publisher.as_str(), place.repository.as_str()),
    };
    let read = "SELECT accounts.handle, accounts.role, members.role, repositories.public FROM accounts \
                LEFT JOIN members ON members.account = accounts.id AND members.publisher = $2 \
                LEFT JOIN publishers ON publishers.name = $2 AND publishers.private = 0 \
                LEFT JOIN repositories ON repositories.publisher = publishers.name AND repositories.name = $3 \
                WHERE accounts.id = $1 AND accounts.closed_ms IS NULL";
    let row: Option<(String, String, Option<String>, Option<i64>)> = sqlx::query_as(read)
        .bind(account)
        .bind(publisher)
        .bind(repository)
        .fetch_optional(connection)
        .await?;
    Ok(row.map(|(handle, role, member, public)| {
        let member = member.as_deref().map(MemberRole::named);
        (handle, Role::named(&role), member, public == Some(1))
    }))
}
