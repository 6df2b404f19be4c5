// SPDX-License-Identifier: Apache-2.0
//! What people think of packages: one to five stars, once for each account.

use serde_json::{Value, json};
use sqlx::AnyConnection;
use wire::hub::{Rating, Stars};

use crate::audit::{self, Note};
use crate::search;

/// How many people rate a package, and the sum of their stars.
pub(crate) async fn count(connection: &mut AnyConnection, package: &str) -> sqlx::Result<(i64, i64)> {
    let count = "SELECT COUNT(*), CAST(COALESCE(SUM(stars), 0) AS BIGINT) FROM ratings WHERE package = $1";
    sqlx::query_as(count).bind(package).fetch_one(connection).await
}

/// What so many people think of a package, by the sum of their stars; none where nobody rates it.
pub(crate) fn mean(people: i64, stars: i64) -> Option<Rating> {
    let people = u64::try_from(people).ok().filter(|people| *people > 0)?;
    #[expect(clippy::cast_precision_loss, reason = "two digits are told")]
    let mean = stars as f64 / people as f64;
    Some(Rating { stars: (mean * 100.0).round() / 100.0, people })
}

/// What people think of a package.
pub(crate) async fn of(connection: &mut AnyConnection, package: &str) -> sqlx::Result<Option<Rating>> {
    let (people, stars) = count(connection, package).await?;
    Ok(mean(people, stars))
}

/// What an account thinks of a package.
pub(super) async fn by(
    connection: &mut AnyConnection,
    package: &str,
    account: &str,
) -> sqlx::Result<Option<Stars>> {
    let select = sqlx::query_scalar("SELECT stars FROM ratings WHERE package = $1 AND account = $2");
    let stars: Option<i64> = select.bind(package).bind(account).fetch_optional(connection).await?;
    Ok(stars.and_then(|stars| Stars::try_from(u8::try_from(stars).ok()?).ok()))
}

/// Says what an account thinks of a package.
pub(super) async fn set(
    connection: &mut AnyConnection,
    (package, title): (&str, &str),
    (account, actor): (&str, &str),
    stars: Stars,
    now_ms: i64,
) -> sqlx::Result<()> {
    if by(connection, package, account).await? == Some(stars) {
        return Ok(());
    }
    let detail = json!({ "stars": stars });
    audit::note(connection, &Note { now_ms, actor, action: "package.rate", subject: title, detail }).await?;
    remove(connection, package, account).await?;
    // It may have been closed meanwhile.
    let insert = "INSERT INTO ratings (package, account, stars, rated_ms) \
                  SELECT $1, id, $3, $4 FROM accounts WHERE id = $2 AND closed_ms IS NULL";
    let insert = sqlx::query(insert).bind(package).bind(account).bind(i64::from(u8::from(stars)));
    insert.bind(now_ms).execute(&mut *connection).await?;
    search::index(connection, package).await
}

/// Says no more what an account thinks of a package.
pub(super) async fn unset(
    connection: &mut AnyConnection,
    (package, title): (&str, &str),
    (account, actor): (&str, &str),
    now_ms: i64,
) -> sqlx::Result<()> {
    if by(connection, package, account).await?.is_none() {
        return Ok(());
    }
    let detail = Value::Null;
    audit::note(connection, &Note { now_ms, actor, action: "package.unrate", subject: title, detail })
        .await?;
    remove(connection, package, account).await?;
    search::index(connection, package).await
}

async fn remove(connection: &mut AnyConnection, package: &str, account: &str) -> sqlx::Result<()> {
    let delete = sqlx::query("DELETE FROM ratings WHERE package = $1 AND account = $2");
    delete.bind(package).bind(account).execute(connection).await.map(drop)
}

/// Forgets what an account thought of packages, and tells of how many.
pub(crate) async fn forget(connection: &mut AnyConnection, account: &str) -> sqlx::Result<u64> {
    let delete = sqlx::query_scalar("DELETE FROM ratings WHERE account = $1 RETURNING package").bind(account);
    let mut packages: Vec<String> = delete.fetch_all(&mut *connection).await?;
    packages.sort_unstable();
    for package in &packages {
        search::index(connection, package).await?;
    }
    Ok(packages.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::mean;

    #[test]
    fn a_mean_has_two_digits_and_is_of_somebody() {
        let told = |people, stars| mean(people, stars).map(|rating| rating.stars);
        assert_eq!((told(0, 0), told(1, 5), told(3, 14)), (None, Some(5.0), Some(4.67)));
    }
}
