// SPDX-License-Identifier: Apache-2.0
//! Passwords that were tried in vain, by account and by address: after some of them each has to wait twice as long as the one
//! before. An attempt is counted before it is looked at, so that many at once are not many guesses.

use std::net::IpAddr;

use sqlx::AnyConnection;

use super::denied::Denied;

/// How many are free.
const FREE: i64 = 10;
/// The longest wait. Somebody who tries for others should not keep them out for long.
const LONGEST_S: i64 = 15 * 60;
/// After how long in peace all is forgotten, in milliseconds.
const FORGET_MS: i64 = 60 * 60 * 1000;

/// Of whom attempts are counted.
#[derive(Debug, Clone)]
pub(super) struct Subject(String);

impl Subject {
    pub(super) fn account(handle: &str) -> Self {
        Self(format!("account:{handle}"))
    }

    /// Codes that an account types.
    pub(super) fn codes(account: &str) -> Self {
        Self(format!("codes:{account}"))
    }

    /// Who has one address of version 6 has its whole network.
    pub(super) fn address(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self(format!("address:{address}")),
            IpAddr::V6(address) => {
                let [first, second, third, fourth, ..] = address.segments();
                Self(format!("address:{first:x}:{second:x}:{third:x}:{fourth:x}::/64"))
            }
        }
    }
}

/// Counts an attempt.
///
/// # Errors
/// When it comes too early.
pub(super) async fn begin(
    connection: &mut AnyConnection,
    subject: &Subject,
    now_ms: i64,
) -> Result<(), Denied> {
    let count = "INSERT INTO attempts (subject, failures, until_ms) VALUES ($1, 1, $2) \
                 ON CONFLICT (subject) DO UPDATE SET failures = \
                 CASE WHEN attempts.until_ms + $3 < $2 THEN 1 ELSE attempts.failures + 1 END \
                 WHERE attempts.until_ms <= $2 RETURNING failures";
    let counted: Option<(i64,)> = sqlx::query_as(count)
        .bind(&subject.0)
        .bind(now_ms)
        .bind(FORGET_MS)
        .fetch_optional(&mut *connection)
        .await?;
    let Some((failures,)) = counted else {
        let until = "SELECT until_ms FROM attempts WHERE subject = $1";
        let (until_ms,): (i64,) = sqlx::query_as(until).bind(&subject.0).fetch_one(connection).await?;
        return Err(Denied::TooOften { wait_s: seconds(until_ms - now_ms) });
    };
    let set = "UPDATE attempts SET until_ms = $2 WHERE subject = $1";
    let until_ms = now_ms + wait_s(failures) * 1000;
    sqlx::query(set).bind(&subject.0).bind(until_ms).execute(connection).await?;
    Ok(())
}

/// Takes back an attempt that was none in vain.
pub(super) async fn succeed(
    connection: &mut AnyConnection,
    subject: &Subject,
    now_ms: i64,
) -> sqlx::Result<()> {
    let undo =
        "UPDATE attempts SET failures = failures - 1, until_ms = $2 WHERE subject = $1 AND failures > 0";
    sqlx::query(undo).bind(&subject.0).bind(now_ms).execute(connection).await?;
    Ok(())
}

/// Forgets all attempts for an account, whose owner came.
pub(super) async fn forget(connection: &mut AnyConnection, subject: &Subject) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM attempts WHERE subject = $1").bind(&subject.0).execute(connection).await?;
    Ok(())
}

/// How long to wait after so many failures.
fn wait_s(failures: i64) -> i64 {
    let doublings = u32::try_from(failures - FREE).unwrap_or(0).min(20);
    if failures <= FREE { 0 } else { (1 << doublings).min(LONGEST_S) }
}

fn seconds(ms: i64) -> u64 {
    u64::try_from(ms).unwrap_or(0).div_ceil(1000).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_become_longer_and_not_endless() {
        let waits: Vec<i64> = [0, 10, 11, 12, 13, 19, 20, 1000].map(wait_s).into();
        assert_eq!(waits, [0, 0, 2, 4, 8, 512, 900, 900]);
    }

    #[test]
    fn a_network_is_one_address() {
        let subject = |address: &str| Subject::address(address.parse().unwrap()).0;
        assert_eq!(subject("2001:db8:1:2:3::4"), subject("2001:db8:1:2::9"));
        assert_ne!(subject("2001:db8:1:2::1"), subject("2001:db8:1:3::1"));
        assert_ne!(subject("192.0.2.1"), subject("192.0.2.2"));
    }
}
