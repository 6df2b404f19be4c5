// SPDX-License-Identifier: Apache-2.0
//! How many people must look at a release before it is released: what is said of its publisher, else of its category, else in the
//! configuration.

use sqlx::AnyConnection;
use wire::hub::{Facts, ReviewPolicy};

use super::checks::NAME;
use super::release::Release;
use crate::config::Review;
use crate::rebuild;

/// The policy for a release. A name that could be taken for another is always looked at by somebody.
pub(super) async fn of(
    connection: &mut AnyConnection,
    release: &Release,
    facts: Option<&Facts>,
    rules: &Review,
) -> sqlx::Result<ReviewPolicy> {
    let mut policy = ReviewPolicy { approvals: u64::from(rules.approvals), own: rules.own };
    let category = facts.map(|facts| facts.category.as_str());
    for (scope, name) in [("publisher", Some(release.publisher.as_str())), ("category", category)] {
        let select = "SELECT approvals, own FROM review_policies WHERE scope = $1 AND name = $2";
        let row = sqlx::query_as::<_, (i64, i64)>(select).bind(scope).bind(name);
        if let Some((approvals, own)) = row.fetch_optional(&mut *connection).await? {
            policy = ReviewPolicy { approvals: u64::try_from(approvals).unwrap_or(u64::MAX), own: own == 1 };
            break;
        }
    }
    if policy.approvals == 0 && is_similar(connection, &release.id).await? {
        policy.approvals = 1;
    }
    Ok(policy)
}

async fn is_similar(connection: &mut AnyConnection, release: &str) -> sqlx::Result<bool> {
    let select = "SELECT 1 FROM check_results WHERE release = $1 AND name = $2 AND level <> 'pass'";
    let found = sqlx::query(select).bind(release).bind(NAME).fetch_optional(connection).await?;
    Ok(found.is_some())
}

/// Sets what is said of a publisher or a category.
pub(super) async fn set(
    connection: &mut AnyConnection,
    scope: &str,
    name: &str,
    policy: ReviewPolicy,
) -> sqlx::Result<()> {
    let insert = "INSERT INTO review_policies (scope, name, approvals, own) VALUES ($1, $2, $3, $4) \
                  ON CONFLICT (scope, name) DO UPDATE SET approvals = excluded.approvals, own = excluded.own";
    let approvals = i64::try_from(policy.approvals).unwrap_or(i64::MAX);
    let insert = sqlx::query(insert).bind(scope).bind(name).bind(approvals).bind(i64::from(policy.own));
    insert.execute(&mut *connection).await?;
    rebuild::stale_hub(connection).await
}
