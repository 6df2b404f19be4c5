// SPDX-License-Identifier: Apache-2.0
//! Which tokens of an issuer may do what for a publisher, in the database.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::AnyConnection;
use utoipa::ToSchema;
use uuid::Uuid;

use super::super::refused::Refused;
use super::super::scope::Scope;
use crate::audit::{self, Note};
use crate::registry::PublisherName;

/// Claims that say whose a token is. What has none of them would be about everybody at the issuer.
const WHOSE: [&str; 7] = [
    "sub",
    "repository",
    "repository_id",
    "repository_owner_id",
    "project_path",
    "project_id",
    "namespace_id",
];
/// Claims that are looked at in any case.
const ANYWAY: [&str; 6] = ["iss", "aud", "exp", "nbf", "iat", "jti"];

/// A rule by which machines publish.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct PublishingRule {
    pub(crate) id: String,
    /// What its owners call it.
    pub(crate) name: String,
    /// The URL of the issuer.
    pub(crate) issuer: String,
    /// What the token must say: by the name of a claim a text, in which `*` stands for any characters.
    pub(crate) claims: BTreeMap<String, String>,
    /// What the token that is given for it is for.
    pub(crate) scopes: Vec<Scope>,
    /// The handle of who made it, for whom its tokens act.
    pub(crate) made_by: String,
    pub(crate) created_ms: i64,
}

/// A rule that is to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewPublishingRule {
    /// What its owners call it.
    #[schema(min_length = 1, max_length = 80)]
    pub(crate) name: String,
    /// The URL of the issuer, one that the hub lets publish.
    #[schema(min_length = 1, max_length = 1000)]
    pub(crate) issuer: String,
    /// What the token must say: by the name of a claim a text, in which `*` stands for any characters, twice at most.
    pub(crate) claims: BTreeMap<String, String>,
    /// What the token that is given for it is for: repositories of this publisher.
    #[schema(min_items = 1, max_items = 50)]
    pub(crate) scopes: Vec<Scope>,
}

type Row = (String, String, String, String, String, String, i64);

const COLUMNS: &str = "publishing_rules.id, publishing_rules.name, publishing_rules.issuer, publishing_rules.claims, \
                       publishing_rules.scopes, accounts.handle, publishing_rules.created_ms";

fn rule((id, name, issuer, claims, scopes, made_by, created_ms): Row) -> PublishingRule {
    // What a later version wrote and this one cannot read is about no token, and for nothing.
    let (claims, scopes) = (serde_json::from_str(&claims), serde_json::from_str(&scopes));
    let (claims, scopes) = (claims.unwrap_or_default(), scopes.unwrap_or_default());
    PublishingRule { id, name, issuer, claims, scopes, made_by, created_ms }
}

impl NewPublishingRule {
    /// Refuses what is about nobody, about everybody, or for what is not this publisher's.
    pub(in super::super) fn check(&self, publisher: &PublisherName) -> Result<(), Refused> {
        let invalid = |problem: &str| Err(Refused::Invalid(problem.to_owned()));
        if !is_line(&self.name, 80) {
            return invalid("a rule has a name of 1 to 80 characters, all on one line");
        }
        if self.claims.len() > 20 || !self.claims.iter().all(|(claim, like)| is_fit(claim, like)) {
            return invalid(
                "a rule has 20 claims at most, each with a text of 1 to 500 characters that is more than `*`, with two `*` at \
                 most; times, issuer and audience are looked at anyway",
            );
        }
        let says_whose = |claim: &&str| self.claims.get(*claim).is_some_and(|like| !like.starts_with('*'));
        if !WHOSE.iter().any(says_whose) {
            return invalid(
                "a rule says whose token it is about, by `sub`, `repository`, `repository_id`, `repository_owner_id`, \
                 `project_path`, `project_id` or `namespace_id`, with a text that does not begin with `*`: else it would be about \
                 everybody there",
            );
        }
        let own = format!("{publisher}/");
        let is_own = |scope: &Scope| match scope {
            Scope::Repository { like, .. } => like.starts_with(&own),
            Scope::ReadApi | Scope::WriteApi | Scope::Admin => false,
        };
        if !(1..=50).contains(&self.scopes.len()) || !self.scopes.iter().all(is_own) {
            return Err(Refused::Invalid(format!(
                "a rule has 1 to 50 scopes, each for repositories of its publisher: `repository:{publisher}/*:pull,push`"
            )));
        }
        Ok(())
    }
}

fn is_line(text: &str, most: usize) -> bool {
    (1..=most).contains(&text.chars().count()) && !text.contains(char::is_control)
}

fn is_fit(claim: &str, like: &str) -> bool {
    is_line(claim, 100)
        && is_line(like, 500)
        && !like.chars().all(|letter| letter == '*')
        && like.matches('*').count() <= 2
        && !ANYWAY.contains(&claim)
}

/// Adds a rule of a publisher, made by an account, given as its id and its handle.
pub(crate) async fn add(
    connection: &mut AnyConnection,
    publisher: &PublisherName,
    new: NewPublishingRule,
    (account, handle): (&str, &str),
    now_ms: i64,
) -> Result<PublishingRule, Refused> {
    let id = Uuid::now_v7().to_string();
    let NewPublishingRule { name, issuer, claims, scopes } = new;
    let detail = json!({ "rule": id, "name": name, "issuer": issuer, "claims": claims, "scopes": scopes });
    let subject = publisher.as_str();
    audit::note(connection, &Note { now_ms, actor: handle, action: "rule.create", subject, detail }).await?;
    let exists = "SELECT COUNT(*) FROM publishers WHERE name = $1";
    let (count,): (i64,) = sqlx::query_as(exists).bind(subject).fetch_one(&mut *connection).await?;
    if count == 0 {
        return Err(Refused::Missing { what: "publisher", name: subject.to_owned() });
    }
    let add = "INSERT INTO publishing_rules (id, publisher, account, name, issuer, claims, scopes, created_ms) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    sqlx::query(add)
        .bind(&id)
        .bind(subject)
        .bind(account)
        .bind(&name)
        .bind(&issuer)
        .bind(json!(claims).to_string())
        .bind(json!(scopes).to_string())
        .bind(now_ms)
        .execute(connection)
        .await?;
    let made_by = handle.to_owned();
    Ok(PublishingRule { id, name, issuer, claims, scopes, made_by, created_ms: now_ms })
}

/// The rules of a publisher that were made after one; at most so many.
pub(crate) async fn after(
    connection: &mut AnyConnection,
    publisher: &PublisherName,
    id: &str,
    most: i64,
) -> sqlx::Result<Vec<PublishingRule>> {
    let read = format!(
        "SELECT {COLUMNS} FROM publishing_rules JOIN accounts ON accounts.id = publishing_rules.account \
         WHERE publishing_rules.publisher = $1 AND publishing_rules.id > $2 ORDER BY publishing_rules.id LIMIT $3"
    );
    let read = sqlx::query_as::<_, Row>(sqlx::AssertSqlSafe(read)).bind(publisher.as_str());
    let rows = read.bind(id).bind(most).fetch_all(connection).await?;
    Ok(rows.into_iter().map(rule).collect())
}

/// Removes a rule of a publisher. Tokens that it gave count no more.
///
/// # Errors
/// When there is none such.
pub(crate) async fn remove(
    connection: &mut AnyConnection,
    publisher: &PublisherName,
    id: &str,
    actor: &str,
    now_ms: i64,
) -> Result<(), Refused> {
    let (subject, detail) = (publisher.as_str(), json!({ "rule": id }));
    audit::note(connection, &Note { now_ms, actor, action: "rule.remove", subject, detail }).await?;
    let remove = "DELETE FROM publishing_rules WHERE id = $1 AND publisher = $2";
    let removed = sqlx::query(remove).bind(id).bind(subject).execute(&mut *connection).await?;
    if removed.rows_affected() == 0 {
        return Err(Refused::Missing { what: "rule", name: id.to_owned() });
    }
    let revoke = "UPDATE tokens SET revoked_ms = $2 WHERE rule = $1 AND revoked_ms IS NULL";
    sqlx::query(revoke).bind(id).bind(now_ms).execute(connection).await?;
    Ok(())
}

/// The rules about tokens of an issuer whose makers are not closed, the oldest first, each with its publisher and the account
/// that made it; of one publisher, where that is named.
pub(super) async fn about(
    connection: &mut AnyConnection,
    issuer: &str,
    publisher: Option<&str>,
) -> sqlx::Result<Vec<(PublishingRule, String, String)>> {
    type Whole = (String, String, String, String, String, String, i64, String, String);
    let read = format!(
        "SELECT {COLUMNS}, publishing_rules.publisher, publishing_rules.account FROM publishing_rules \
         JOIN accounts ON accounts.id = publishing_rules.account \
         WHERE publishing_rules.issuer = $1 AND accounts.closed_ms IS NULL \
         AND ($2 = '' OR publishing_rules.publisher = $2) ORDER BY publishing_rules.id"
    );
    let read = sqlx::query_as::<_, Whole>(sqlx::AssertSqlSafe(read)).bind(issuer);
    let rows = read.bind(publisher.unwrap_or_default()).fetch_all(connection).await?;
    let whole = |(id, name, issuer, claims, scopes, made_by, created_ms, publisher, account): Whole| {
        (rule((id, name, issuer, claims, scopes, made_by, created_ms)), publisher, account)
    };
    Ok(rows.into_iter().map(whole).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(claims: &serde_json::Value, scope: &str) -> String {
        let rule =
            json!({ "name": "ci", "issuer": "https://a.example", "claims": claims, "scopes": [scope] });
        let rule: NewPublishingRule = serde_json::from_value(rule).unwrap();
        rule.check(&"acme".parse().unwrap()).map_or_else(|refused| refused.to_string(), |()| String::new())
    }

    #[test]
    fn a_rule_is_about_somebody_and_for_its_publisher() {
        const OWN: &str = "repository:acme/*:pull,push";
        assert_eq!(refused(&json!({ "repository": "acme/guard", "ref": "refs/tags/*" }), OWN), "");
        assert_eq!(refused(&json!({ "sub": "repo:acme/*:ref:*" }), OWN), "");
        for (claims, scope, words) in [
            (json!({}), OWN, "whose token"),
            (json!({ "ref": "refs/heads/main" }), OWN, "whose token"),
            (json!({ "sub": "*:main" }), OWN, "whose token"),
            (json!({ "sub": "*" }), OWN, "more than `*`"),
            (json!({ "sub": "a*b*c*" }), OWN, "more than `*`"),
            (json!({ "sub": "a", "aud": "b" }), OWN, "anyway"),
            (json!({ "sub": "a" }), "repository:*:push", "of its publisher"),
            (json!({ "sub": "a" }), "repository:acme2/a:push", "of its publisher"),
            (json!({ "sub": "a" }), "api:write", "of its publisher"),
        ] {
            let told = refused(&claims, scope);
            assert!(told.contains(words), "{claims} {scope}: {told}");
        }
    }
}
