// SPDX-License-Identifier: Apache-2.0
//! Who carries out a rule: whoever has its lease. One that is not renewed is taken by another hub, and each change that a rule leads
//! to is one of the holder's, so that what two of them would do is done by one.

use std::sync::Arc;

use futures_util::FutureExt as _;
use sqlx::AnyConnection;
use uuid::Uuid;

use super::rows::Row;
use super::rule::MirrorRule;
use crate::Hub;

/// For how long a lease holds.
const LEASE_MS: i64 = 30_000;
/// When a rule is due that is not carried out.
pub(super) const NEVER_MS: i64 = i64::MAX;
/// How often it is renewed.
pub(super) const RENEW_MS: u64 = 8000;
/// How long to wait after a rule could not be carried out whole: it doubles each time, up to the time between its runs.
const BACKOFF_MS: i64 = 5000;

/// A rule that this hub may carry out.
#[derive(Debug, Clone)]
pub(super) struct Lease {
    /// The id of the lease.
    id: String,
    /// The id of the rule.
    pub(super) mirror: String,
    pub(super) name: String,
    pub(super) rule: MirrorRule,
    failures: i64,
    /// What its row says for as long as nobody wants it to be carried out again.
    due_ms: i64,
}

/// Takes the rule that is due longest.
pub(super) async fn take_due(hub: &Arc<Hub>) -> sqlx::Result<Option<Lease>> {
    let now_ms = hub.now_ms();
    let select =
        "SELECT id FROM mirrors WHERE due_ms <= $1 AND leased_until_ms <= $1 ORDER BY due_ms, id LIMIT 1";
    let next = sqlx::query_scalar::<_, String>(select).bind(now_ms);
    let Some(mirror) = next.fetch_optional(hub.database.readers()).await? else { return Ok(None) };
    take(hub, mirror, now_ms).await
}

/// Takes a rule; none where somebody has it.
pub(super) async fn take(hub: &Arc<Hub>, mirror: String, now_ms: i64) -> sqlx::Result<Option<Lease>> {
    hub.database
        .write(move |connection| async move { take_one(connection, mirror, now_ms).await }.boxed())
        .await
}

async fn take_one(
    connection: &mut AnyConnection,
    mirror: String,
    now_ms: i64,
) -> sqlx::Result<Option<Lease>> {
    let id = Uuid::now_v7().to_string();
    let update = "UPDATE mirrors SET lease = $2, leased_until_ms = $3, due_ms = $3 \
                  WHERE id = $1 AND leased_until_ms <= $4 RETURNING failures";
    let due_ms = now_ms + LEASE_MS;
    let update = sqlx::query_scalar::<_, i64>(update).bind(&mirror).bind(&id).bind(due_ms);
    let Some(failures) = update.bind(now_ms).fetch_optional(&mut *connection).await? else { return Ok(None) };
    let Some(row) = Row::by_id(connection, &mirror).await? else { return Ok(None) };
    Ok(Some(Lease { id, mirror: row.id, name: row.name, rule: row.rule, failures, due_ms }))
}

impl Lease {
    /// Who changes things by it, as the record of changes has it.
    pub(super) fn actor(&self) -> String {
        format!("mirror {}", self.name)
    }

    /// Holds it until the end of a transaction. False where it is not ours any more, or the rule is not.
    pub(super) async fn hold(&self, connection: &mut AnyConnection, now_ms: i64) -> sqlx::Result<bool> {
        let update = "UPDATE mirrors SET leased_until_ms = $3 WHERE id = $1 AND lease = $2";
        let update = sqlx::query(update).bind(&self.mirror).bind(&self.id).bind(now_ms + LEASE_MS);
        Ok(update.execute(connection).await?.rows_affected() == 1)
    }

    /// Renews it. False where it is not ours any more.
    pub(super) async fn renew(&self, hub: &Hub) -> sqlx::Result<bool> {
        let (lease, now_ms) = (self.clone(), hub.now_ms());
        let renewed =
            hub.database.write(move |connection| async move { lease.hold(connection, now_ms).await }.boxed());
        renewed.await
    }

    /// Gives it back, and says how it went and when the rule is due again.
    pub(super) async fn end(&self, hub: &Hub, problem: Option<String>) -> sqlx::Result<()> {
        let (lease, now_ms) = (self.clone(), hub.now_ms());
        let failures = if problem.is_some() { self.failures.saturating_add(1) } else { 0 };
        let next_ms = if self.rule.paused {
            NEVER_MS
        } else {
            now_ms.saturating_add(pause_ms(self.rule.every_seconds, failures))
        };
        let ended = hub.database.write(move |connection| {
            async move {
                // Who changed the rule, or asked for it, meanwhile has it carried out again.
                let update =
                    "UPDATE mirrors SET lease = NULL, leased_until_ms = 0, ran_ms = $3, problem = $4, failures = $5, \
                     due_ms = CASE WHEN due_ms = $6 THEN $7 ELSE due_ms END WHERE id = $1 AND lease = $2";
                let update = sqlx::query(update).bind(&lease.mirror).bind(&lease.id).bind(now_ms);
                let update = update.bind(problem).bind(failures).bind(lease.due_ms).bind(next_ms);
                update.execute(connection).await.map(drop)
            }
            .boxed()
        });
        ended.await
    }
}

/// How long until a rule is carried out again that failed so often in a row.
fn pause_ms(every_seconds: u64, failures: i64) -> i64 {
    let every_ms = i64::try_from(every_seconds.saturating_mul(1000)).unwrap_or(i64::MAX);
    match u32::try_from(failures - 1) {
        Ok(before) => BACKOFF_MS.saturating_mul(2_i64.saturating_pow(before)).min(every_ms),
        Err(_) => every_ms,
    }
}

#[cfg(test)]
mod tests {
    use super::pause_ms;

    #[test]
    fn what_fails_is_tried_sooner_and_then_ever_later_up_to_its_time() {
        let pauses: Vec<i64> = (0..6).map(|failures| pause_ms(60, failures)).collect();
        assert_eq!(pauses, [60_000, 5000, 10_000, 20_000, 40_000, 60_000]);
        assert_eq!(pause_ms(2, 1), 2000);
        assert_eq!(pause_ms(u64::MAX, 200), i64::MAX);
    }
}
