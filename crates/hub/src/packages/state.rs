// SPDX-License-Identifier: Apache-2.0
//! From which state a release may go to which. A change is one statement of SQL that holds only where the release is in a state
//! before it, so that of two who want different things one is told that it came too late.

use sqlx::AnyConnection;
use wire::hub::State;

use super::release::Release;
use crate::events::{self, Event};
use crate::{mail, rebuild};

/// The states that a state may follow.
pub(super) const fn before(state: State) -> &'static [State] {
    match state {
        // What came while it was checked has it checked again.
        State::Pending => &[State::Checking, State::ChangesAsked],
        State::Checking => &[State::Pending],
        State::Review => &[State::Checking],
        State::ChangesAsked => &[State::Checking, State::Review],
        State::Released => &[State::Review, State::Yanked],
        State::Rejected => &[State::Review],
        State::Yanked => &[State::Released],
        State::Deleted => {
            &[State::Pending, State::Review, State::ChangesAsked, State::Released, State::Yanked]
        }
        // What was rejected or deleted nobody has anyway; `takedown::lift` knows where it came from.
        State::TakenDown => &[
            State::Pending,
            State::Checking,
            State::Review,
            State::ChangesAsked,
            State::Released,
            State::Yanked,
        ],
    }
}

/// Takes a release to a state. Returns whether it is there now because of this.
///
/// # Errors
/// When the database fails.
pub(super) async fn go(
    connection: &mut AnyConnection,
    release: &str,
    to: State,
    reason: Option<&str>,
    now_ms: i64,
) -> sqlx::Result<bool> {
    let from: Vec<String> = before(to).iter().map(|state| format!("'{state}'")).collect();
    // When it was released first stays known.
    let released = if to == State::Released { "COALESCE(released_ms, $4)" } else { "released_ms" };
    let update = format!(
        "UPDATE releases SET state = $2, reason = $3, changed_ms = $4, released_ms = {released} \
         WHERE id = $1 AND state IN ({})",
        from.join(", ")
    );
    let update = sqlx::query(sqlx::AssertSqlSafe(update)).bind(release).bind(to.as_str());
    let done = update.bind(reason).bind(now_ms).execute(&mut *connection).await?;
    let is_there = done.rows_affected() == 1;
    if is_there {
        tell(connection, release, to, now_ms).await?;
    }
    Ok(is_there)
}

/// Tells those who want to hear of it that a release got to a state.
async fn tell(connection: &mut AnyConnection, release: &str, state: State, now_ms: i64) -> sqlx::Result<()> {
    let Some(release) = Release::by_id(connection, release).await? else { return Ok(()) };
    rebuild::stale(connection, &release.repository).await?;
    let kind = match state {
        State::TakenDown if release.released_ms.is_some() => events::Kind::TakenDown,
        State::Pending | State::Checking | State::TakenDown => return Ok(()),
        State::Review => events::Kind::Submitted,
        State::ChangesAsked => events::Kind::ChangesAsked,
        State::Released if release.released_ms == Some(now_ms) => events::Kind::Released,
        State::Released => events::Kind::Restored,
        State::Rejected => events::Kind::Rejected,
        State::Yanked => events::Kind::Yanked,
        State::Deleted => events::Kind::Deleted,
    };
    let event = Event {
        kind,
        publisher: &release.publisher,
        package: &release.name,
        version: &release.version.to_string(),
        digest: Some(&release.digest),
        text: release.reason.as_deref().unwrap_or_default(),
    };
    events::tell(connection, &event, now_ms).await?;
    // What was yanked and is no more, nobody decided about.
    if kind == events::Kind::Restored {
        return Ok(());
    }
    mail::decided(connection, &release, state, now_ms).await
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use proptest::prelude::*;
    use wire::hub::State;

    use super::{before, go};
    use crate::packages::tests::{Pushed, hub};

    #[test]
    fn what_is_final_is_left_for_nothing() {
        for last in [State::Rejected, State::Deleted, State::TakenDown] {
            assert!(State::ALL.iter().all(|next| !before(*next).contains(&last)), "{last}");
        }
    }

    #[test]
    fn nothing_is_public_that_was_not_reviewed() {
        for state in State::ALL.into_iter().filter(|state| state.is_public()) {
            let hidden = before(state).iter().filter(|before| !before.is_public());
            assert!(hidden.copied().eq([State::Review].into_iter().filter(|_| state == State::Released)));
        }
    }

    fn wishes() -> impl Strategy<Value = Vec<State>> {
        proptest::collection::vec(proptest::sample::select(State::ALL.to_vec()), 1..25)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]

        #[test]
        fn a_release_goes_where_the_table_says_and_nowhere_else(wishes in wishes()) {
            let runtime = tokio::runtime::Runtime::new().expect("a runtime");
            runtime.block_on(async {
                let hub = hub().await;
                let pushed = Pushed::version("1.0.0");
                pushed.arrive(&hub).await.expect("it is welcome");
                let release = pushed.release(&hub).await;
                let mut expected = State::Pending;
                for (now_ms, wish) in (1..).zip(wishes) {
                    let release = release.id.clone();
                    let gone = hub.database.write(move |connection| {
                        async move { go(connection, &release, wish, Some("why"), now_ms).await }.boxed()
                    });
                    let gone = gone.await.expect("a database");
                    assert_eq!(gone, before(wish).contains(&expected), "from {expected} to {wish}");
                    if gone {
                        expected = wish;
                    }
                    assert_eq!(pushed.release(&hub).await.state, expected);
                }
            });
        }
    }
}
