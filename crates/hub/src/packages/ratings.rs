// SPDX-License-Identifier: Apache-2.0
//! What people think of packages: one to five stars, once for each account.

use serde_json::{Value, json};
use sqlx::AnyConnection;
use wire::hub::{Rating, Stars};

use crate::audit::{self, Note};
use crate::search;

/// How many people rate the package in `{}`, and their stars, as two columns of a query.
pub(crate) const COLUMNS: &str = "(SELECT COUNT(*) FROM ratings WHERE ratings.package = p.id), \
                                  (SELECT CAST(COALESCE(SUM(stars), 0) AS BIGINT) FROM ratings WHERE ratings.package = p.id)";

/// What these columns say; none where nobody rates it.
pub(crate) fn mean(people: i64, stars: i64) -> Option<Rating> {
    let people = u64::try_from(people).ok().filter(|people| *people > 0)?;
    #[expect(clippy::cast_precision_loss, reason = "two digits are told")]
    let mean = stars as f64 / people as f64;
    Some(Rating { stars: (mean * 100.0).round() / 100.0, people })
}

/// What people think of a package.
pub(crate) async fn of(connection: &mut AnyConnection, package: &str) -> sqlx::Result<Option<Rating>> {
    let select = format!("SELECT {COLUMNS} FROM packages p WHERE p.id = $1");
    let select = sqlx::query_as(sqlx::AssertSqlSafe(select)).bind(package);
    let (people, stars): (i64, i64) = select.fetch_one(connection).await?;
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

/// Says what an account thinks of a package; nothing any more, where there are no stars.
pub(super) async fn set(
    connection: &mut AnyConnection,
    (package, title): (&str, &str),
    (account, actor): (&str, &str),
    stars: Option<Stars>,
    now_ms: i64,
) -> sqlx::Result<Option<Rating>> {
    let detail = stars.map_or(Value::Null, |stars| json!({ "stars": stars }));
    let note = Note { now_ms, actor, action: "package.rate", subject: title, detail };
    audit::note(connection, &note).await?;
    let delete = sqlx::query("DELETE FROM ratings WHERE package = $1 AND account = $2");
    delete.bind(package).bind(account).execute(&mut *connection).await?;
    if let Some(stars) = stars {
        let insert = "INSERT INTO ratings (package, account, stars, rated_ms) VALUES ($1, $2, $3, $4)";
        let insert = sqlx::query(insert).bind(package).bind(account).bind(i64::from(u8::from(stars)));
        insert.bind(now_ms).execute(&mut *connection).await?;
    }
    search::index(connection, package).await?;
    of(connection, package).await
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
